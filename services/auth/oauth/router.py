"""The paths of OAuth and OpenID Connect. Errors are those of the standards, except what is no error of theirs."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import OAuth2Error  # type: ignore[import-untyped]
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from services.auth.oauth.authorization import (
    PATH,
    ConsentNeeded,
    Decision,
    SignInNeeded,
    posted_query,
    read_query,
)
from services.auth.oauth.dependencies import (
    AuthorizationServiceDep,
    BearerTokenDep,
    LogoutServiceDep,
    OAuthServiceDep,
    PostedDep,
    UserSessionDep,
)
from services.auth.oauth.discovery import MAX_AGE_SECONDS, metadata
from services.auth.oauth.logout import SignedOut
from services.auth.oauth.server import NO_STORE, Answer
from services.auth.sessions.cookies import clear_cookie
from services.common.openapi import refusals


class OAuthRoute(APIRoute):
    """Answers errors of OAuth in their own form (RFC 6749 5.2)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Catch what is raised before Authlib's own code runs."""
        handle = super().get_route_handler()

        async def handle_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except OAuth2Error as error:
                status, body, headers = error()
                return sent(Answer(status, body, dict(headers)))

        return handle_errors


router = APIRouter(tags=["oauth"], route_class=OAuthRoute, responses=refusals(400, 401, 413, 429, 503))
discovery = APIRouter(tags=["oauth"])


@router.get(PATH)
async def get_authorize(
    request: Request, authorization: AuthorizationServiceDep, user_session: UserSessionDep
) -> Response:
    """A code for the client, by way of the browser (RFC 6749 4.1.1); first a sign-in or a consent where needed."""
    parameters = read_query(request.scope["query_string"])
    return decided(await authorization.begin(parameters, user_session))


@router.post(PATH)
async def post_authorize(request: Request) -> Response:
    """The same in a form (OpenID Connect Core 3.1.2.1): the browser asks again as above.

    It does not send the session's cookie with a form of another site, which then looks like nobody being signed in.
    """
    return redirect(f"{PATH}?{posted_query(request.headers.get('content-type'), await request.body())}")


@router.post("/oauth2/token")
async def post_token(posted: PostedDep, oauth: OAuthServiceDep) -> Response:
    """Tokens for a grant (RFC 6749 3.2): authorization_code, refresh_token, client_credentials."""
    return sent(await oauth.token(posted))


@router.post("/oauth2/revoke")
async def post_revoke(posted: PostedDep, oauth: OAuthServiceDep) -> Response:
    """End a token (RFC 7009): a refresh token with all that came of its grant, an access token by itself."""
    return sent(await oauth.revoke(posted))


@router.post("/oauth2/introspect")
async def post_introspect(posted: PostedDep, oauth: OAuthServiceDep) -> Response:
    """Whether a token is live at this moment, and what it says (RFC 7662). Not for clients without a secret."""
    return sent(await oauth.introspect(posted))


@router.get("/oauth2/logout")
async def get_logout(request: Request, logout: LogoutServiceDep, user_session: UserSessionDep) -> Response:
    """Sign out on a client's wish (OpenID Connect RP-Initiated Logout 1.0); first ask the person where it is theirs."""
    return signed_out(await logout.sign_out(read_query(request.scope["query_string"]), user_session))


@router.post("/oauth2/logout")
async def post_logout(request: Request, logout: LogoutServiceDep, user_session: UserSessionDep) -> Response:
    """The same in a form."""
    query = posted_query(request.headers.get("content-type"), await request.body())
    return signed_out(await logout.sign_out(read_query(query.encode()), user_session))


@router.get("/oauth2/userinfo")
@router.post("/oauth2/userinfo")
async def get_userinfo(token: BearerTokenDep, oauth: OAuthServiceDep) -> Response:
    """Who the person of an access token is, as far as its scopes go (OpenID Connect Core 5.3)."""
    return JSONResponse(await oauth.userinfo(token), headers=NO_STORE)


@discovery.get("/.well-known/openid-configuration")
@discovery.get("/.well-known/oauth-authorization-server")
async def get_metadata(request: Request, response: Response) -> dict[str, Any]:
    """What this provider can do (OpenID Connect Discovery 1.0, RFC 8414)."""
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    return metadata(request.state.settings)


def sent(answer: Answer) -> Response:
    """Authlib's answer over HTTP."""
    return JSONResponse(answer.body, answer.status, answer.headers)


def decided(decision: Decision) -> Response:
    """Send the browser on: back to the client, or to the page that asks the person something first."""
    if isinstance(decision, SignInNeeded):
        return redirect(f"/login?{urlencode({'continue': decision.continue_to})}")
    if isinstance(decision, ConsentNeeded):
        return redirect(f"/login/consent?{urlencode({'continue': decision.continue_to})}")
    return redirect(decision.location)


def signed_out(done: SignedOut) -> Response:
    """Send the browser on, without a session if that has ended."""
    response = redirect(done.location)
    if done.here:
        clear_cookie(response)
    return response


def redirect(location: str) -> Response:
    """See Other, always with GET (RFC 9700 4.12); the code in it is nothing for caches or referrers."""
    return Response(status_code=303, headers={"Location": location, **NO_STORE, "Referrer-Policy": "no-referrer"})

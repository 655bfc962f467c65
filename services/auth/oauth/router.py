"""The paths of OAuth and OpenID Connect. Errors are those of the standards, except what is no error of theirs."""

from collections.abc import Callable, Coroutine
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error  # type: ignore[import-untyped]
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from services.auth.oauth.dependencies import OAuthServiceDep, PostedDep
from services.auth.oauth.discovery import MAX_AGE_SECONDS, metadata
from services.auth.oauth.server import Answer
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


@router.post("/oauth2/token")
async def post_token(posted: PostedDep, oauth: OAuthServiceDep) -> Response:
    """Tokens for a grant (RFC 6749 3.2): client_credentials."""
    return sent(await oauth.token(posted))


@discovery.get("/.well-known/openid-configuration")
@discovery.get("/.well-known/oauth-authorization-server")
async def get_metadata(request: Request, response: Response) -> dict[str, Any]:
    """What this provider can do (OpenID Connect Discovery 1.0, RFC 8414)."""
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    return metadata(request.state.settings)


def sent(answer: Answer) -> Response:
    """Authlib's answer over HTTP."""
    return JSONResponse(answer.body, answer.status, answer.headers)

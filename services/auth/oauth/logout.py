"""Signing out on a client's wish (OpenID Connect RP-Initiated Logout 1.0), on Authlib's."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authlib.oauth2.rfc6749 import OAuth2Error  # type: ignore[import-untyped]
from authlib.oidc.rpinitiated import EndSessionEndpoint  # type: ignore[import-untyped]

from services.auth.audit.record import Origin
from services.auth.oauth.client import RegisteredClient
from services.auth.oauth.exceptions import OAuthPageError
from services.auth.oauth.repository import OAuthRepository, run
from services.auth.oauth.requests import OAuthRequest, Parameters, with_parameters
from services.auth.oauth.server import Server
from services.auth.oauth.tokens import Tokens
from services.auth.sessions.exceptions import SessionNotFoundError
from services.auth.sessions.models import UserSession
from services.auth.sessions.service import SessionService
from services.auth.settings import AuthSettings
from services.common.postgres import DatabaseSession

PAGE = "/logout"  # asks whoever is signed in, and tells everybody else that they are not


@dataclass(frozen=True, slots=True)
class SignedOut:
    """Where to go on, and whether the session of this browser has ended."""

    location: str
    here: bool = False


class EndSession(EndSessionEndpoint):  # type: ignore[misc]
    """Reads a logout request."""

    server: Server

    def _validate_id_token_hint(self, id_token_hint: str) -> dict[str, Any] | None:
        """The hint's claims; None for one that is not of ours, which then counts as none."""
        return self.server.tokens.read_hint(id_token_hint)

    def _is_valid_post_logout_redirect_uri(self, client: RegisteredClient, post_logout_redirect_uri: str) -> bool:
        """Whether it is registered, to the last character."""
        return post_logout_redirect_uri in client.row.post_logout_redirect_uris


class LogoutService:
    """Ends the session that a client's ID token names. Whoever has none to show leaves it to the person."""

    def __init__(
        self,
        session: DatabaseSession,
        tokens: Tokens,
        settings: AuthSettings,
        origin: Origin,
        *,
        revoked: Callable[[], Any],
    ) -> None:
        """Take what it needs, and what to call after something was revoked."""
        self._session = session
        self._tokens = tokens
        self._settings = settings
        self._origin = origin
        self._revoked = revoked

    async def sign_out(self, parameters: Parameters, here: UserSession | None) -> SignedOut:
        """Sign out, or send the person to the page that asks them. `here`: the session of the browser.

        Raises OAuthPageError. A browser in which somebody else is signed in by now keeps that session.
        """
        claims, location = await run(self._session, lambda repository: self._read(repository, parameters))
        if claims is None or (here is not None and str(here.user_id) != claims["sub"]):
            return SignedOut(PAGE)
        named = {UUID(claims["sid"])} if "sid" in claims else set()
        for session_id in named | ({here.id} if here is not None else set()):
            with suppress(SessionNotFoundError):  # it has ended before
                service = SessionService(self._session, self._settings)
                await service.end(session_id, UUID(claims["sub"]), self._origin)
        await self._session.commit()
        self._revoked()
        return SignedOut(location, here=here is not None)

    def _read(self, repository: OAuthRepository, parameters: Parameters) -> tuple[dict[str, Any] | None, str]:
        """The hint's claims, and where to go afterwards."""
        server = Server(repository, self._tokens, self._settings, self._origin)
        if parameters.repeated:
            raise OAuthPageError("What the application has sent cannot be read.")
        try:
            wanted = EndSession(server).validate_request(OAuthRequest("GET", parameters, {}))
        except OAuth2Error:
            raise OAuthPageError("The application names another one than it was signed in to.") from None
        if wanted.redirect_uri is None:
            return wanted.id_token_claims, PAGE
        state = parameters.get("state")
        uri = parameters.values["post_logout_redirect_uri"]
        return wanted.id_token_claims, with_parameters(uri, [] if state is None else [("state", state)])

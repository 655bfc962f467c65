"""Tokens for a client itself (RFC 6749 4.4), on Authlib's grant with what that leaves open filled in."""

from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import InvalidScopeError, grants  # type: ignore[import-untyped]

from services.auth.audit.events import Event
from services.auth.oauth.requests import OAuthRequest
from services.auth.oauth.server import Server
from services.auth.scopes import PERSONAL_SCOPES


class MachineGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
    """A client for itself (RFC 6749 4.4): never a public one, and nothing that is about a person."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = ["client_secret_basic", "client_secret_post"]

    request: OAuthRequest
    server: Server

    def validate_requested_scope(self) -> None:
        """Refuse what the client may not have; Authlib would issue a token without it, even without any."""
        wanted = self.request.parameters.words("scope")
        if not {*wanted} <= {*self.request.client.row.scopes} - PERSONAL_SCOPES:
            raise InvalidScopeError("The client may not ask for this scope for itself")

    def generate_token(self, scope: str | None, **_: Any) -> dict[str, Any]:
        """An access token of the client's own."""
        client = self.request.client
        if client.locked_at is None:
            raise RuntimeError("a client's own tokens are made under its lock")
        allowed = client.get_allowed_scope(scope)
        if allowed is None:
            raise InvalidScopeError("The client has no scopes of its own")
        token = self.server.tokens.access(
            client.locked_at, subject=client.client_id, client_id=client.client_id, scopes=allowed.split()
        )
        self.server.record(
            Event.TOKEN_ISSUED,
            actor=client.client_id,
            subject=client.client_id,
            client_id=client.client_id,
            token_id=str(token.token_id),
            scope=allowed,
        )
        return {
            "access_token": token.value,
            "token_type": "Bearer",
            "expires_in": self.server.settings.access_token_seconds,
            "scope": allowed,
        }

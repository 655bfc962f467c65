"""What the two grants of people share: their tokens are made under locks, from what the person has today."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from authlib.oauth2.rfc6749 import InvalidScopeError  # type: ignore[import-untyped]
from authlib.oidc.core.grants.code import OpenIDToken  # type: ignore[import-untyped]

from services.auth.audit.events import Event
from services.auth.clients.models import METHODS
from services.auth.oauth.models import AuthorizationCode, Grant, RefreshToken
from services.auth.oauth.requests import OAuthRequest
from services.auth.oauth.server import Server
from services.auth.oauth.tokens import Tokens, digest
from services.auth.scopes import PERSONAL_SCOPES
from services.auth.users.models import User


class PersonGrant:
    """What the two grants of people share: tokens are made under the locks of client, user and grant."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = list(METHODS)

    request: OAuthRequest
    server: Server

    def lock_parties(self, grant: Grant | AuthorizationCode) -> tuple[User, UUID | None] | None:
        """Keep client, user and session as they are until the end. None when client or user is disabled.

        Returns the user, and the id of the session while it lasts.
        """
        repository = self.server.repository
        client, user = repository.lock_client(grant.client_id), repository.lock_user(grant.user_id)
        if client is None or user is None:
            return None
        live = grant.session_id is not None and repository.lock_session(grant.session_id) is not None
        return user, grant.session_id if live else None

    def issue(self, now: datetime, user: User, grant: Grant, wanted: list[str]) -> dict[str, Any]:
        """An access token with those of the scopes that the client and the user's roles have today."""
        roles = self.server.repository.roles(user.id)
        allowed = PERSONAL_SCOPES.union(*(role.scopes for role in roles)) & {*self.request.client.row.scopes}
        scopes = [scope for scope in wanted if scope in allowed]
        if not scopes:
            raise InvalidScopeError("None of the scopes is allowed any more")
        session_id: UUID | None = self.request.session_id
        token = self.server.tokens.access(
            now,
            subject=str(user.id),
            client_id=grant.client_id,
            scopes=scopes,
            roles=[role.name for role in roles],
            session_id=session_id,
            grant_id=grant.id,
        )
        self.request.grant_row, self.request.issued_at, self.request.token_id = grant, now, token.token_id
        return {
            "access_token": token.value,
            "token_type": "Bearer",
            "expires_in": self.server.settings.access_token_seconds,
            "scope": " ".join(scopes),
        }

    def keep(self, refresh_token: str, grant: Grant, now: datetime) -> None:
        """Save a refresh token: it ends when it is not used in time, and with its grant."""
        idle_end = now + timedelta(seconds=self.server.settings.refresh_token_seconds)
        row = RefreshToken(
            token_hash=digest(refresh_token), grant_id=grant.id, expires_at=min(idle_end, grant.expires_at)
        )
        self.server.repository.add(row)

    def record(self, event: Event, grant: Grant, **details: Any) -> None:
        """Add to the audit log."""
        self.server.record(
            event,
            actor=grant.user_id,
            subject=grant.user_id,
            client_id=grant.client_id,
            session_id=grant.session_id,
            grant_id=str(grant.id),
            **details,
        )


class IdTokens(OpenIDToken):  # type: ignore[misc]
    """Adds an ID token to the answer when the scope has `openid`."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def encode_id_token(self, token: dict[str, Any], request: OAuthRequest) -> str:
        """Sign with the key ring; Authlib's would load a key for each."""
        code = request.authorization_code  # none in a refresh, whose ID tokens have no nonce (12.2)
        return self._tokens.identity(
            request.issued_at,
            request.grant_row,
            request.session_id,
            token["access_token"],
            nonce=None if code is None else code.nonce,
        )

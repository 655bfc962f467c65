"""A refresh token for its successor (RFC 6749 6, RFC 9700 4.14.2), on Authlib's grant, which does not rotate."""

from datetime import datetime, timedelta
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, grants  # type: ignore[import-untyped]

from services.auth.audit.events import Event
from services.auth.oauth.client import RegisteredClient
from services.auth.oauth.models import Grant, RefreshToken
from services.auth.oauth.person_grant import PersonGrant
from services.auth.oauth.tokens import digest
from services.auth.users.models import User


class RefreshGrant(PersonGrant, grants.RefreshTokenGrant):  # type: ignore[misc]
    """A refresh token for its successor and an access token.

    Once, but for a retry: who comes again so soon that the answer may have been lost gets the very same successor, as
    long as nobody has used that: whoever has used it has had the answer.
    """

    def authenticate_refresh_token(self, refresh_token: str) -> "Presented | None":
        """The token and its grant, locked. Raises InvalidGrantError after a replay has ended the grant."""
        repository = self.server.repository
        found = repository.refresh_token(digest(refresh_token))
        first = None if found is None else repository.grant(found.grant_id)
        if first is None:
            return None
        parties = self.lock_parties(first)
        grant, token = repository.lock_grant(first.id), repository.refresh_token(digest(refresh_token))
        now = repository.now()
        if grant is not None and token is not None and token.used_at is not None:
            # also when the user is disabled by now: a replay is one
            self._check_retry(refresh_token, grant, token.used_at, now)
        if grant is None or token is None or parties is None or grant.revoked_at is not None:
            return None
        self.request.user, self.request.session_id = parties
        live = min(token.expires_at, grant.expires_at) > now
        return Presented(refresh_token, token, grant, now) if live else None

    def authenticate_user(self, _: "Presented") -> User:
        """The user, who was locked with the grant."""
        user: User = self.request.user
        return user

    def issue_token(self, user: User, refresh_token: "Presented") -> dict[str, Any]:
        """The tokens: fewer scopes on request, never more (checked before)."""
        grant, now = refresh_token.grant, refresh_token.now
        wanted = self.request.parameters.words("scope") or grant.scopes
        token = self.issue(now, user, grant, wanted)
        successor = self.server.tokens.successor(refresh_token.value)
        retried = refresh_token.row.used_at is not None
        if not retried:
            refresh_token.row.used_at = now
            self.keep(successor, grant, now)
        self.record(
            Event.TOKEN_REFRESHED, grant, token_id=str(self.request.token_id), scope=token["scope"], retried=retried
        )
        return token | {"refresh_token": successor}

    def revoke_old_credential(self, refresh_token: "Presented") -> None:
        """Done: it was marked as used when its successor was made."""

    def _check_retry(self, value: str, grant: Grant, used_at: datetime, now: datetime) -> None:
        """Let a retry pass. Raises InvalidGrantError, after ending the grant."""
        own = self.request.client.client_id == grant.client_id
        soon = now - used_at <= timedelta(seconds=self.server.settings.refresh_retry_seconds)
        successor = self.server.repository.refresh_token(digest(self.server.tokens.successor(value)))
        if own and soon and successor is not None and successor.used_at is None:
            return
        if self.server.repository.revoke_grant(grant, "token_replayed", now):
            self.record(Event.TOKEN_REPLAYED, grant)
        raise InvalidGrantError("The refresh token was used before")


class Presented:
    """A refresh token that somebody has sent, as Authlib asks about it."""

    def __init__(self, value: str, row: RefreshToken, grant: Grant, now: datetime) -> None:
        self.value = value
        self.row = row
        self.grant = grant
        self.now = now

    def check_client(self, client: RegisteredClient) -> bool:
        """Whether it was issued to this client."""
        return self.grant.client_id == client.client_id

    def get_scope(self) -> str:
        """All that was granted."""
        return " ".join(self.grant.scopes)

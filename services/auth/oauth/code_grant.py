"""A code for tokens (RFC 6749 4.1), on Authlib's grant with what that leaves open or unsafe filled in."""

from datetime import timedelta
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import InvalidGrantError, grants  # type: ignore[import-untyped]
from uuid_utils.compat import uuid7

from services.auth.audit.events import Event
from services.auth.oauth.client import RegisteredClient
from services.auth.oauth.models import AuthorizationCode, Grant
from services.auth.oauth.person_grant import PersonGrant
from services.auth.oauth.requests import OAuthRequest
from services.auth.oauth.tokens import digest, opaque
from services.auth.users.models import User


class CodeGrant(PersonGrant, grants.AuthorizationCodeGrant):  # type: ignore[misc]
    """A code for tokens, once."""

    AUTHORIZATION_CODE_LENGTH: ClassVar[None] = None  # generate_authorization_code says

    def generate_authorization_code(self) -> str:
        """256 random bits."""
        return opaque()

    def save_authorization_code(self, code: str, request: OAuthRequest) -> None:
        """Keep its hash, with all that it is bound to."""
        now, session = self.server.repository.now(), request.user
        scopes = request.scope.split()
        row = AuthorizationCode(
            code_hash=digest(code),
            grant_id=uuid7(),
            client_id=request.client.client_id,
            user_id=session.user_id,
            session_id=session.id,
            redirect_uri=request.parameters.values["redirect_uri"],
            scopes=scopes,
            nonce=request.parameters.get("nonce"),
            code_challenge=request.parameters.values["code_challenge"],
            authenticated_at=session.authenticated_at,
            methods=session.methods,
            expires_at=now + timedelta(seconds=self.server.settings.code_seconds),
        )
        self.server.repository.add(row)
        self.server.record(
            Event.CODE_ISSUED,
            actor=session.user_id,
            subject=session.user_id,
            client_id=row.client_id,
            session_id=session.id,
            grant_id=str(row.grant_id),
            scope=request.scope,
        )

    def query_authorization_code(self, code: str, client: RegisteredClient) -> AuthorizationCode | None:
        """The code, locked: whoever comes second finds it redeemed. Raises InvalidGrantError.

        A code that comes a second time has leaked, or its answer was lost: what it gave is taken back, and the caller
        commits that although the answer is an error.
        """
        repository = self.server.repository
        found = repository.code(digest(code))
        if found is None:
            return None
        parties = self.lock_parties(found)
        row = repository.lock_code(found.code_hash)
        if row is not None and row.redeemed_at is not None:
            self._replayed(row)
        if row is None or row.client_id != client.client_id or row.expires_at <= repository.now() or parties is None:
            return None
        self.request.user, self.request.session_id = parties
        return None if self.request.session_id is None else row

    def authenticate_user(self, _: AuthorizationCode) -> User:
        """The user, who was locked with the code."""
        user: User = self.request.user
        return user

    def generate_token(self, user: User, include_refresh_token: bool, **_: Any) -> dict[str, Any]:
        """Make the grant, and its first tokens. A refresh token only where `offline_access` was asked for."""
        code: AuthorizationCode = self.request.authorization_code
        settings, now = self.server.settings, self.server.repository.now()
        refreshable = include_refresh_token and "offline_access" in code.scopes
        lifetime = settings.grant_seconds if refreshable else settings.access_token_seconds
        grant = Grant(
            id=code.grant_id,
            client_id=code.client_id,
            user_id=code.user_id,
            session_id=code.session_id,
            scopes=code.scopes,
            authenticated_at=code.authenticated_at,
            methods=code.methods,
            expires_at=now + timedelta(seconds=lifetime),
        )
        token = self.issue(now, user, grant, code.scopes)
        self.server.repository.add(grant)
        if refreshable:
            token["refresh_token"] = opaque()
            self.keep(token["refresh_token"], grant, now)
        self.record(Event.TOKEN_ISSUED, grant, token_id=str(self.request.token_id), scope=token["scope"])
        return token

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        """Mark it: a code that is gone could not tell a replay from a guess."""
        authorization_code.redeemed_at = self.request.issued_at
        self.server.repository.add(authorization_code)

    def _replayed(self, code: AuthorizationCode) -> None:
        grant = self.server.repository.lock_grant(code.grant_id)
        if grant is not None and self.server.repository.revoke_grant(
            grant, "code_replayed", self.server.repository.now()
        ):
            self.record(Event.CODE_REPLAYED, grant)
        raise InvalidGrantError("The code was used before")

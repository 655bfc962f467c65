"""What clients do with tokens that they have: revocation (RFC 7009) and introspection (RFC 7662), on Authlib's."""

from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import InvalidRequestError  # type: ignore[import-untyped]
from authlib.oauth2.rfc7009 import RevocationEndpoint  # type: ignore[import-untyped]
from authlib.oauth2.rfc7662 import IntrospectionEndpoint  # type: ignore[import-untyped]

from services.auth.audit.events import Event
from services.auth.clients.models import METHODS
from services.auth.oauth.client import RegisteredClient
from services.auth.oauth.models import Grant, RefreshToken
from services.auth.oauth.requests import OAuthRequest
from services.auth.oauth.server import Server
from services.auth.oauth.tokens import TokenFacts, digest


class FoundAccessToken:
    """An access token of ours, by its claims."""

    def __init__(self, claims: dict[str, Any]) -> None:
        self.claims = claims
        self.facts = TokenFacts.of(claims)

    def check_client(self, client: RegisteredClient) -> bool:
        """Whether it was issued to this client."""
        return bool(self.claims["client_id"] == client.client_id)


class FoundRefreshToken:
    """A refresh token and its grant."""

    def __init__(self, row: RefreshToken, grant: Grant) -> None:
        self.row = row
        self.grant = grant

    def check_client(self, client: RegisteredClient) -> bool:
        """Whether it was issued to this client."""
        return self.grant.client_id == client.client_id


Found = FoundAccessToken | FoundRefreshToken


class _Finding:
    """What both do with `token`: a wrong hint is no error (RFC 7009 2.1), though Authlib answers 401 to it."""

    server: Server

    def check_params(self, request: OAuthRequest, _client: RegisteredClient) -> None:
        """Refuse requests without a token."""
        if request.parameters.get("token") is None:
            raise InvalidRequestError("token is missing")

    def query_token(self, token: str, _hint: str | None) -> Found | None:
        """An access token or a refresh token: they cannot be taken for each other."""
        repository = self.server.repository
        if "." in token:
            claims = self.server.tokens.read_access(token)
            return None if claims is None else FoundAccessToken(claims)
        row = repository.refresh_token(digest(token))
        grant = None if row is None else repository.grant(row.grant_id)
        return None if row is None or grant is None else FoundRefreshToken(row, grant)


class Revocation(_Finding, RevocationEndpoint):  # type: ignore[misc]
    """A refresh token ends with all of its grant; an access token by itself (RFC 7009 2.1)."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = list(METHODS)

    def revoke_token(self, token: Found, request: OAuthRequest) -> None:
        """Write it down with its event, once."""
        repository, client_id = self.server.repository, request.client.client_id
        if isinstance(token, FoundAccessToken):
            facts = token.facts
            repository.lock_token(facts.token_id)
            if repository.is_live(facts):
                repository.revoke("token", facts.token_id)
                self.server.record(
                    Event.TOKEN_REVOKED,
                    actor=client_id,
                    subject=facts.user_id or client_id,
                    client_id=client_id,
                    session_id=facts.session_id,
                    token_id=facts.token_id,
                )
            return
        grant = repository.lock_grant(token.grant.id)  # after a refresh that is under way, whose tokens end as well
        if grant is not None and repository.revoke_grant(grant, "revoked_by_client", repository.now()):
            self.server.record(
                Event.TOKEN_REVOKED,
                actor=client_id,
                subject=grant.user_id,
                client_id=client_id,
                session_id=grant.session_id,
                grant_id=str(grant.id),
            )


class Introspection(_Finding, IntrospectionEndpoint):  # type: ignore[misc]
    """What Postgres knows of a token at this moment. Public clients cannot ask: nobody knows who they are."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = [method for method in METHODS if method != "none"]

    def check_permission(self, token: Found, client: RegisteredClient, _request: OAuthRequest) -> bool:
        """Access tokens for the platform may be asked about by each of its services; refresh tokens by their client."""
        return isinstance(token, FoundAccessToken) or token.check_client(client)

    def create_introspection_payload(self, token: Found | None) -> dict[str, Any]:
        """All that is said of a token which is not live is that it is not (RFC 7662 2.2)."""
        repository = self.server.repository
        if isinstance(token, FoundAccessToken) and repository.is_live(token.facts):
            return {"active": True, "token_type": "Bearer", **token.claims}
        if isinstance(token, FoundRefreshToken) and self._is_live(token):
            grant = token.grant
            return {
                "active": True,
                "client_id": grant.client_id,
                "sub": str(grant.user_id),
                "scope": " ".join(grant.scopes),
                "iss": self.server.settings.issuer,
                "exp": int(min(token.row.expires_at, grant.expires_at).timestamp()),
            }
        return {"active": False}

    def _is_live(self, token: FoundRefreshToken) -> bool:
        repository, grant = self.server.repository, token.grant
        in_time = min(token.row.expires_at, grant.expires_at) > repository.now()
        unused = token.row.used_at is None and grant.revoked_at is None
        return in_time and unused and repository.user(grant.user_id) is not None

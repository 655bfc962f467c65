"""What clients can do with tokens; each method is one transaction, which an error that Authlib answers commits too."""

from collections.abc import Callable
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error  # type: ignore[import-untyped]

from services.auth.audit.record import Origin
from services.auth.metrics import AuthMetrics
from services.auth.oauth.code_grant import CodeGrant
from services.auth.oauth.endpoints import Introspection, Revocation
from services.auth.oauth.machine_grant import MachineGrant
from services.auth.oauth.person_grant import IdTokens
from services.auth.oauth.pkce import S256
from services.auth.oauth.refresh_grant import RefreshGrant
from services.auth.oauth.repository import OAuthRepository, in_transaction
from services.auth.oauth.requests import OAuthRequest
from services.auth.oauth.server import Answer, Server, credentials
from services.auth.oauth.tokens import Tokens
from services.auth.oauth.userinfo import userinfo
from services.auth.settings import AuthSettings
from services.auth.users.limits import SignInLimits
from services.common.postgres import DatabaseSession

ISSUED = 200


class OAuthService:
    """The endpoints that clients ask. Raises TooManyAttemptsError (429) for clients that were refused too often."""

    def __init__(
        self,
        session: DatabaseSession,
        tokens: Tokens,
        settings: AuthSettings,
        origin: Origin,
        *,
        limits: SignInLimits,
        revoked: Callable[[], Any],
        metrics: AuthMetrics | None = None,
    ) -> None:
        """Take what it needs, and what to call after something was revoked."""
        self._metrics = metrics or AuthMetrics(None)
        self._session = session
        self._tokens = tokens
        self._settings = settings
        self._origin = origin
        self._limits = limits
        self._revoked = revoked

    async def token(self, request: OAuthRequest) -> Answer:
        """Tokens for a grant (RFC 6749 3.2)."""

        def issue(server: Server) -> Answer:
            if request.parameters.get("grant_type") is None:
                raise InvalidRequestError("grant_type is missing")
            server.register_grant(CodeGrant, [S256(), IdTokens(self._tokens)])
            server.register_grant(RefreshGrant, [IdTokens(self._tokens)])
            server.register_grant(MachineGrant)
            server.locks_client = request.parameters.get("grant_type") == MachineGrant.GRANT_TYPE
            answer: Answer = server.create_token_response(request)
            return answer

        answer = await self._as_client(request, issue)
        if answer.status == ISSUED:
            self._metrics.issued(request.parameters.get("grant_type") or "")
        return answer

    async def revoke(self, request: OAuthRequest) -> Answer:
        """End a token (RFC 7009); 200 also for one that nobody knows."""
        return await self._as_client(request, lambda server: endpoint(server, Revocation, request))

    async def introspect(self, request: OAuthRequest) -> Answer:
        """Whether a token is live at this moment (RFC 7662)."""
        return await self._as_client(request, lambda server: endpoint(server, Introspection, request))

    async def userinfo(self, access_token: str) -> dict[str, Any]:
        """What the client may know of the person (OpenID Connect Core 5.3).

        Raises UnauthenticatedError for a token that is not live at this moment, ForbiddenError without `openid`.
        """
        return await in_transaction(self._session, lambda repository: userinfo(repository, self._tokens, access_token))

    async def _as_client(self, request: OAuthRequest, work: Callable[[Server], Answer]) -> Answer:
        """Run what asks the client who it is, and count it when that goes wrong."""
        claimed, _, _ = credentials(request)
        address = self._origin.address
        await self._limits.check_client(claimed or "", address)
        answer = await self._run(work)
        if answer.refused_client:
            await self._limits.client_failed(claimed or "", address)
        return answer

    async def _run(self, work: Callable[[Server], Answer]) -> Answer:
        def run(repository: OAuthRepository) -> tuple[Answer, bool]:
            server = Server(repository, self._tokens, self._settings, self._origin)
            try:
                answer = work(server)
            except OAuth2Error as error:
                answer = server.handle_response(*error())
            return answer, repository.has_revoked

        answer, has_revoked = await in_transaction(self._session, run)
        if has_revoked:
            self._revoked()
        return answer


def endpoint(server: Server, kind: type[Revocation | Introspection], request: OAuthRequest) -> Answer:
    """Let one of Authlib's endpoints answer."""
    server.register_endpoint(kind)
    answer: Answer = server.create_endpoint_response(kind.ENDPOINT_NAME, request)
    return answer

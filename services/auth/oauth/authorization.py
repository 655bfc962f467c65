"""The authorization endpoint's decision: back to the client, sign in first, or ask for consent first.

Pages call it too: `begin` to know what to ask, `grant` and `deny` with the answer.
"""

from collections.abc import Sequence

from authlib.oauth2.rfc6749 import AccessDeniedError, OAuth2Error  # type: ignore[import-untyped]

from services.auth.audit.record import Origin
from services.auth.clients.models import Client
from services.auth.oauth.checks import find_target
from services.auth.oauth.code_grant import CodeGrant
from services.auth.oauth.marker import Marker
from services.auth.oauth.pkce import S256
from services.auth.oauth.queries import PATH, parameters_of, posted_query, read_query
from services.auth.oauth.repository import OAuthRepository, in_transaction
from services.auth.oauth.requests import Parameters
from services.auth.oauth.server import Server
from services.auth.oauth.steps import ConsentNeeded, Decision, Redirect, SignInNeeded, Step
from services.auth.oauth.tokens import Tokens
from services.auth.sessions.models import UserSession
from services.auth.settings import AuthSettings
from services.common.postgres import DatabaseSession

__all__ = [
    "PATH",
    "AuthorizationService",
    "ConsentNeeded",
    "Decision",
    "Redirect",
    "SignInNeeded",
    "parameters_of",
    "posted_query",
    "read_query",
]


class AuthorizationService:
    """Decides about authorization requests; each method is one transaction. All raise OAuthPageError."""

    def __init__(self, session: DatabaseSession, tokens: Tokens, settings: AuthSettings, origin: Origin) -> None:
        self._session = session
        self._tokens = tokens
        self._settings = settings
        self._origin = origin
        self._marker = Marker(settings.token_key.get_secret_value())

    async def begin(self, parameters: Parameters, user_session: UserSession | None) -> Decision:
        """What comes next for this request in this browser."""
        return await in_transaction(self._session, lambda repository: self._begin(repository, parameters, user_session))

    async def grant(
        self, parameters: Parameters, user_session: UserSession | None, scopes: Sequence[str]
    ) -> Redirect | SignInNeeded:
        """The person says yes to these of the scopes: remember that, and send them back with a code."""
        return await in_transaction(
            self._session, lambda repository: self._grant(repository, parameters, user_session, scopes)
        )

    async def target(self, parameters: Parameters) -> tuple[Client, str]:
        """The client of a request, and the address that its answer will go to: both are registered."""
        return await in_transaction(self._session, lambda repository: self._target(repository, parameters))

    async def deny(self, parameters: Parameters) -> Redirect:
        """The person says no."""
        return await in_transaction(self._session, lambda repository: self._deny(repository, parameters))

    def _begin(self, repository: OAuthRepository, parameters: Parameters, user_session: UserSession | None) -> Decision:
        step = Step(self._server(repository), self._marker, parameters)
        try:
            return step.sign_in(user_session) or step.ask_consent() or step.code(step.scopes)
        except OAuth2Error as error:
            return step.refuse(error)

    def _grant(
        self,
        repository: OAuthRepository,
        parameters: Parameters,
        user_session: UserSession | None,
        scopes: Sequence[str],
    ) -> Redirect | SignInNeeded:
        step = Step(self._server(repository), self._marker, parameters)
        try:
            return step.sign_in(user_session) or step.consented(scopes)
        except OAuth2Error as error:
            return step.refuse(error)

    def _target(self, repository: OAuthRepository, parameters: Parameters) -> tuple[Client, str]:
        client, redirect_uri = find_target(self._server(repository), parameters)
        return client.row, redirect_uri

    def _deny(self, repository: OAuthRepository, parameters: Parameters) -> Redirect:
        return Step(self._server(repository), self._marker, parameters).refuse(AccessDeniedError())

    def _server(self, repository: OAuthRepository) -> Server:
        server = Server(repository, self._tokens, self._settings, self._origin)
        server.register_grant(CodeGrant, [S256()])
        return server

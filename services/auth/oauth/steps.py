"""One authorization request on its way through what must be asked first, and what may come of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped]
    AccessDeniedError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
)
from authlib.oidc.core.errors import ConsentRequiredError, LoginRequiredError  # type: ignore[import-untyped]

from services.auth.audit.events import Event
from services.auth.clients.models import Client
from services.auth.oauth.checks import check_parameters, find_target
from services.auth.oauth.marker import NAME as ASKED_AT
from services.auth.oauth.marker import Marker
from services.auth.oauth.queries import PATH
from services.auth.oauth.requests import OAuthRequest, Pairs, Parameters, with_parameters
from services.auth.oauth.server import Server
from services.auth.scopes import PERSONAL_SCOPES
from services.auth.sessions.models import UserSession


@dataclass(frozen=True, slots=True)
class Redirect:
    """Back to the client, with a code or an error."""

    location: str


@dataclass(frozen=True, slots=True)
class SignInNeeded:
    """First somebody signs in, also if somebody is signed in; then the browser goes to `continue_to`."""

    continue_to: str
    login_hint: str | None


@dataclass(frozen=True, slots=True)
class ConsentNeeded:
    """First the person is asked whether the client may have these scopes; then `grant` or `deny`."""

    client: Client
    scopes: tuple[str, ...]
    continue_to: str


Decision = Redirect | SignInNeeded | ConsentNeeded


class Step:
    """The questions in their order. Raises OAuthPageError when it is not known where to go back to."""

    session: UserSession
    scopes: list[str]

    def __init__(self, server: Server, marker: Marker, parameters: Parameters) -> None:
        self._server = server
        self._marker = marker
        self._parameters = parameters
        self._prompts = set(parameters.words("prompt"))
        self._client, self._redirect_uri = find_target(server, parameters)

    def sign_in(self, session: UserSession | None) -> SignInNeeded | None:
        """Check the request; None when whoever is signed in will do. Raises OAuth2Error."""
        check_parameters(self._parameters)
        self._request = OAuthRequest("GET", self._parameters, {})
        self._grant = self._server.get_consent_grant(self._request, session)
        now = self._server.repository.now()
        if session is None or not self._will_do(session, now):
            if "none" in self._prompts:
                raise LoginRequiredError
            return SignInNeeded(self._continue_to(now), self._parameters.get("login_hint"))
        self.session = session
        self.scopes = self._allowed_scopes(session)
        return None

    def ask_consent(self) -> ConsentNeeded | None:
        """None when the client has the consent that it needs, or needs none. Raises OAuth2Error."""
        row = self._client.row
        consent = self._server.repository.lock_consent(self.session.user_id, row.id)
        remembered = row.first_party or (consent is not None and {*self.scopes} <= {*consent.scopes})
        if remembered and "consent" not in self._prompts:
            return None
        if "none" in self._prompts:
            raise ConsentRequiredError
        return ConsentNeeded(row, tuple(self.scopes), f"{PATH}?{urlencode(self._parameters.values)}")

    def consented(self, scopes: Sequence[str]) -> Redirect:
        """Remember what the person allows, and go on with it. Raises OAuth2Error when that is nothing."""
        allowed = [scope for scope in self.scopes if scope in {*scopes, "openid"}]
        if not {*allowed} & {*scopes}:
            raise AccessDeniedError
        user_id, client_id = self.session.user_id, self._client.client_id
        self._server.repository.add_consent(user_id, client_id, allowed)
        self._server.record(
            Event.CONSENT_GIVEN,
            actor=user_id,
            subject=user_id,
            client_id=client_id,
            session_id=self.session.id,
            scope=" ".join(allowed),
        )
        return self.code(allowed)

    def code(self, scopes: Sequence[str]) -> Redirect:
        """Back to the client with a code."""
        self._request.scope, self._request.user = " ".join(scopes), self.session
        code = self._grant.generate_authorization_code()
        self._grant.save_authorization_code(code, self._request)
        return self._redirect([("code", code)])

    def refuse(self, error: OAuth2Error) -> Redirect:
        """Back to the client with an error."""
        return self._redirect(error.get_body())

    def _redirect(self, answer: Pairs) -> Redirect:
        """With the client's own state, and the name of the issuer, in errors too (RFC 9207)."""
        pairs = [(name, value) for name, value in answer if name != "state"]
        state = self._parameters.get("state")
        if state is not None:
            pairs.append(("state", state))
        return Redirect(with_parameters(self._redirect_uri, [*pairs, ("iss", self._server.settings.issuer)]))

    def _will_do(self, session: UserSession, now: datetime) -> bool:
        """Whether this sign-in is recent enough and of the right person. Raises OAuth2Error."""
        asked_at = self._marker.read(self._parameters, now)
        answers = asked_at is not None and session.authenticated_at > asked_at
        hint = self._parameters.get("id_token_hint")
        if hint is not None:
            claims = self._server.tokens.read_hint(hint)
            if claims is None:
                raise InvalidRequestError("id_token_hint is no ID token of this issuer")
            if claims["sub"] != str(session.user_id):
                if answers:
                    raise LoginRequiredError("Somebody else has signed in than id_token_hint says")
                return False
        if answers:
            return True
        max_age = self._parameters.get("max_age")
        if max_age is not None and session.authenticated_at + timedelta(seconds=int(max_age)) <= now:
            return False
        return not self._prompts & {"login", "select_account"}

    def _continue_to(self, now: datetime) -> str:
        """This request again, with the moment from which on a sign-in answers it."""
        if self._marker.read(self._parameters, now) is not None:
            marked = dict(self._parameters.values)  # asked already, and not answered yet: the moment stays
        else:
            marked = {**self._parameters.values, ASKED_AT: self._marker.make(self._parameters, now)}
        return f"{PATH}?{urlencode(marked)}"

    def _allowed_scopes(self, session: UserSession) -> list[str]:
        """Those that the client and the person's roles have. Raises OAuth2Error when that is none."""
        roles = self._server.repository.roles(session.user_id)
        allowed = PERSONAL_SCOPES.union(*(role.scopes for role in roles))
        if not self._client.check_grant_type("refresh_token"):
            allowed -= {"offline_access"}
        scopes = [scope for scope in self._request.scope.split() if scope in allowed]
        if not scopes:
            raise InvalidScopeError("The person may do none of this")
        return scopes

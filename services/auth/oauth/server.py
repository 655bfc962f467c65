"""Authlib's authorization server over one request's transaction: who the client is, and what an answer looks like.

One is made for each request: it holds the transaction and nothing that outlives it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped]
    AuthorizationServer,
    InvalidClientError,
    InvalidRequestError,
)
from authlib.oauth2.rfc6749.util import extract_basic_authorization  # type: ignore[import-untyped]

from services.auth.audit.events import Event
from services.auth.audit.record import Origin, record_now
from services.auth.oauth.client import RegisteredClient
from services.auth.oauth.repository import OAuthRepository
from services.auth.oauth.requests import OAuthRequest
from services.auth.oauth.tokens import Tokens
from services.auth.settings import AuthSettings

CHALLENGE = 'Basic realm="slipway", charset="UTF-8"'  # RFC 7617 2
# RFC 6749 5.1: what holds a token is never kept
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class ClientRefusedError(InvalidClientError):  # type: ignore[misc]
    """The client is not who it says it is, whichever way it said so: one answer for all of them."""

    status_code: ClassVar[int] = 401
    description: ClassVar[str] = "Client authentication failed"

    def get_headers(self) -> list[tuple[str, str]]:
        """With the challenge that a 401 must have."""
        return [*NO_STORE.items(), ("WWW-Authenticate", CHALLENGE)]


@dataclass
class Answer:
    """What Authlib wants to be sent."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def location(self) -> str | None:
        """Where to, if it is a redirect."""
        return self.headers.get("Location")

    @property
    def refused_client(self) -> bool:
        """Whether it says that the client is not who it says it is."""
        return isinstance(self.body, dict) and self.body.get("error") == InvalidClientError.error


class Server(AuthorizationServer):  # type: ignore[misc]
    """The hooks that Authlib leaves open, and its defaults that are not safe replaced."""

    def __init__(self, repository: OAuthRepository, tokens: Tokens, settings: AuthSettings, origin: Origin) -> None:
        super().__init__()
        self.repository = repository
        self.tokens = tokens
        self.settings = settings
        self.origin = origin
        self.locks_client = False  # where tokens stand on the client alone, it is read and locked in one

    def query_client(self, client_id: str) -> RegisteredClient | None:
        """A client that is not disabled."""
        if self.locks_client:
            found = self.repository.lock_client_now(client_id)
            return None if found is None else RegisteredClient(*found)
        row = self.repository.client(client_id)
        return None if row is None else RegisteredClient(row)

    def authenticate_client(
        self, request: OAuthRequest, methods: Sequence[str], endpoint: str = "token"
    ) -> RegisteredClient:
        """The client, by the one method that is its own. Raises ClientRefusedError, InvalidRequestError.

        Authlib's tries one method after the other, tells unknown clients by another status, and breaks on header
        values that are not UTF-8.
        """
        client_id, secret, method = credentials(request)
        client = self.query_client(client_id) if client_id else None
        known = (
            client is not None
            and method in methods
            and client.check_endpoint_auth_method(method, endpoint)
            and (method == "none" or client.check_client_secret(secret))
        )
        if not known or client is None:
            self.record(Event.CLIENT_REFUSED, client_id=None if client is None else client.client_id, endpoint=endpoint)
            raise ClientRefusedError
        request.client, request.auth_method = client, method
        return client

    def record(self, event: Event, **facts: Any) -> None:
        """Add to the audit log."""
        record_now(self.repository.session, event, self.origin, **facts)

    def save_token(self, token: dict[str, Any], request: OAuthRequest) -> None:
        """Nothing: grants save their refresh tokens where they make them, access tokens are not kept."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        """It is one already."""
        return request

    def handle_response(self, status: int, body: Any, headers: Sequence[tuple[str, str]]) -> Answer:
        """Keep what Authlib says; the router sends it."""
        return Answer(status, body, dict(headers))


def credentials(request: OAuthRequest) -> tuple[str | None, str, str]:
    """Id, secret and method of whoever asks. Raises InvalidRequestError when they come in two ways (RFC 6749 2.3)."""
    client_id, secret = request.parameters.get("client_id"), request.parameters.get("client_secret")
    if not request.headers.get("authorization"):
        return client_id, secret or "", "none" if secret is None else "client_secret_post"
    try:
        basic_id, basic_secret = extract_basic_authorization({"Authorization": request.headers["authorization"]})
    except ValueError:  # not UTF-8
        basic_id, basic_secret = None, None
    if secret is not None or client_id not in (None, basic_id):
        raise InvalidRequestError("The client names itself in two ways")
    return basic_id, basic_secret or "", "client_secret_basic"

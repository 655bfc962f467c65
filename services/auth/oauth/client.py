"""A registered client, as Authlib asks about it."""

import hashlib
import hmac
from datetime import datetime
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin  # type: ignore[import-untyped]

from services.auth.clients.models import Client
from services.auth.scopes import PERSONAL_SCOPES

LOOPBACK = ("127.0.0.1", "::1")


class RegisteredClient(ClientMixin):  # type: ignore[misc]
    """What the client's row allows."""

    def __init__(self, row: Client, locked_at: datetime | None = None) -> None:
        """Take the row and, if it is locked, Postgres' time after that."""
        self.row = row
        self.locked_at = locked_at
        self.client_id = row.id

    def __repr__(self) -> str:
        return f"<RegisteredClient {self.client_id!r}>"

    def get_client_id(self) -> str:
        """Its id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: a request names its redirect URI, always."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Those of the scopes that it may ask for; without any, all that are not about the person. None: no scope."""
        if scope:
            return " ".join(word for word in dict.fromkeys(scope.split()) if word in self.row.scopes) or None
        return " ".join(word for word in self.row.scopes if word not in PERSONAL_SCOPES) or None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether it is registered, to the last character; the port of a loopback address is free (RFC 8252 7.3)."""
        return redirect_uri in self.row.redirect_uris or any(
            _same_but_for_port(redirect_uri, registered) for registered in self.row.redirect_uris
        )

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether this is its secret."""
        given = hashlib.sha256(client_secret.encode("utf-8", "surrogatepass")).digest()
        return self.row.secret_hash is not None and hmac.compare_digest(given, self.row.secret_hash)

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """Whether it authenticates so; all endpoints are alike."""
        return method == self.row.authentication_method

    def check_response_type(self, response_type: str) -> bool:
        """Whether it may use the authorization endpoint."""
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it may use this grant."""
        return grant_type in self.row.grant_types


def _same_but_for_port(given: str, registered: str) -> bool:
    """Of two loopback addresses, with nothing in the given one that a URL parser could read in two ways."""
    wanted = urlsplit(registered)
    if wanted.scheme != "http" or wanted.hostname not in LOOPBACK:
        return False
    host = f"[{wanted.hostname}]" if ":" in wanted.hostname else wanted.hostname
    rest = registered.removeprefix(f"http://{wanted.netloc}")
    port = given.removeprefix(f"http://{host}").removesuffix(rest) if given.endswith(rest) else "?"
    return given == f"http://{host}{port}{rest}" and _is_port(port)


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdigit() and 0 < int(text[1:]) < 65536)  # noqa: PLR2004

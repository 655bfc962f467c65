"""An issuer of access tokens for tests: signs anything, publishes its keys over HTTP."""

import json
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

ISSUER = "https://slipway.test"
AUDIENCE = "slipway"
LIFETIME_SECONDS = 600


def new_key(bits: int = 2048) -> RSAKey:
    """An RSA key whose `kid` is its thumbprint (RFC 7638); services refuse one of fewer than 2048 bits."""
    return RSAKey.generate_key(bits, {"use": "sig", "alg": "RS256"}, auto_kid=True)


class Issuer:
    """Signs RFC 9068 access tokens; of its keys the newest counts."""

    def __init__(self, *, issuer: str = ISSUER, audience: str = AUDIENCE, bits: int = 2048) -> None:
        """Make a key of so many bits."""
        self.issuer = issuer
        self.audience = audience
        self.keys = [new_key(bits)]

    @property
    def key(self) -> RSAKey:
        """The key that signs."""
        return self.keys[-1]

    def rotate(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on."""
        self.keys = [*(self.keys if keep_old else []), new_key()]

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token with some changed; None leaves one out."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": self.audience,
            "client_id": "tests",
            "scope": "items:read items:write",
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": str(uuid4()),
        }
        return without_none(usual | changes)

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """The claims as a token in compact form; `header` is laid over the usual one in the same way."""
        usual = {"alg": "RS256", "typ": "at+jwt", "kid": self.key.kid}
        return jwt.encode(without_none(usual | dict(header or {})), dict(claims), self.key)

    def token(self, *, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """An access token; `header` adds to or changes its header, keyword arguments its claims."""
        return self.sign(self.claims(**changes), header)

    def headers(self, **changes: Any) -> dict[str, str]:
        """The Authorization header of `token`."""
        return {"Authorization": f"Bearer {self.token(**changes)}"}

    def jwks(self) -> dict[str, Any]:
        """The public key set (RFC 7517 5)."""
        return dict(KeySet(list(self.keys)).as_dict(private=False))


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """What has a value."""
    return {name: value for name, value in values.items() if value is not None}


class KeyServer(ThreadingHTTPServer):
    """Publishes an issuer's keys, counts who asks, and can be told to fail."""

    daemon_threads = True

    def __init__(self, issuer: Issuer) -> None:
        """Bind to a free port."""
        super().__init__(("127.0.0.1", 0), _KeyHandler)
        self.issuer = issuer
        self.fetches = 0
        self.status = 200
        self.body: bytes | None = None

    @property
    def url(self) -> str:
        """The address of the key set."""
        return f"http://127.0.0.1:{self.server_address[1]}/.well-known/jwks.json"


class _KeyHandler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.fetches += 1
        body = self.server.body or json.dumps(self.server.issuer.jwks()).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Tests say themselves what they see."""


@contextmanager
def key_server(issuer: Issuer) -> Generator[KeyServer]:
    """Serve the issuer's keys for as long as the block lasts."""
    server = KeyServer(issuer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)

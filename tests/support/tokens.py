"""An issuer of access tokens for tests: signs anything, publishes its keys over HTTP."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc.jwk import RSAKey

from services.issuer.tokens import TokenSigner, new_key

ISSUER = "https://slipway.test"
AUDIENCE = "slipway"
LIFETIME_SECONDS = 600


class Issuer:
    """Signs RFC 9068 access tokens with a key of its own; the newest of its signers counts."""

    def __init__(self, *, issuer: str = ISSUER, audience: str = AUDIENCE, bits: int = 2048) -> None:
        """Make a key of so many bits."""
        self.issuer = issuer
        self.audience = audience
        self.signers = [TokenSigner(issuer, audience, LIFETIME_SECONDS, new_key(bits))]

    @property
    def key(self) -> RSAKey:
        """The key that signs."""
        return self.signers[-1].key

    def rotate(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on."""
        newest = replace(self.signers[-1], key=new_key())
        self.signers = [*(self.signers if keep_old else []), newest]

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token with some changed; None leaves one out."""
        usual = {"subject": "alice", "client_id": "tests", "scope": "items:read items:write"}
        return self.signers[-1].claims(**{**usual, **changes})

    def token(self, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """An access token; `header` adds to or changes its header, keyword arguments its claims."""
        return self.signers[-1].sign(self.claims(**changes), header)

    def headers(self, **changes: Any) -> dict[str, str]:
        """The Authorization header of `token`."""
        return {"Authorization": f"Bearer {self.token(**changes)}"}

    def jwks(self) -> dict[str, Any]:
        """The public key set (RFC 7517 5)."""
        return {"keys": [key for signer in self.signers for key in signer.jwks()["keys"]]}


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

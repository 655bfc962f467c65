"""`make token`: a person signs in with a browser, and their access token is printed (RFC 8252, RFC 7636).

The browser comes back to a port of this machine that is open for one answer. Nothing secret is in the client: whoever
sees the code on its way has not the verifier that redeems it.
"""

import base64
import hashlib
import json
import secrets
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from k8s.local import edge, paths
from k8s.local.errors import LocalError

CLIENT, CALLBACK = "cli", "/callback"
SCOPES = "openid items:read items:write"
WAIT_SECONDS = 300.0
DONE = (
    b"<!doctype html><title>Slipway</title><p>You are signed in. Go back to your terminal; this page can be closed.\n"
)


def token(tell: Callable[[str], None], wait_seconds: float = WAIT_SECONDS) -> str:
    """The access token of whoever signs in at the address that is told. Raises LocalError."""
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with _Listener(state) as listener:
        tell(_address(listener.redirect_uri, verifier, state))
        answer = listener.wait(wait_seconds)
        return _redeem(answer, listener.redirect_uri, verifier)


def tell(address: str) -> None:
    """Beside the token, so that `TOKEN=$(make token)` holds that alone."""
    print(f"Open this address in a browser that trusts {paths.ca_certificate()}:\n\n  {address}\n", file=sys.stderr)


def _address(redirect_uri: str, verifier: str, state: str) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": redirect_uri,
        "scope": SCOPES,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{paths.ORIGIN}/oauth2/authorize?{urlencode(parameters)}"


def _redeem(answer: dict[str, str], redirect_uri: str, verifier: str) -> str:
    if answer.get("iss") != paths.ORIGIN:
        raise LocalError(f"The answer is not {paths.ORIGIN}'s (RFC 9207); nothing was sent to anybody.")
    if "code" not in answer:
        reason = answer.get("error_description") or answer.get("error") or "no code came back"
        raise LocalError(f"There is no token: {reason[:300]}.")
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "code": answer["code"],
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    status, body = edge.send("/oauth2/token", form=form)
    if status != edge.OK:
        raise LocalError(f"{paths.ORIGIN}/oauth2/token answers {status} to the code.")
    return str(json.loads(body)["access_token"])


class _Listener(HTTPServer):
    """Takes the one answer that carries our `state`; any other gets 400 and is forgotten."""

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.answer: dict[str, str] | None = None

    @property
    def redirect_uri(self) -> str:
        """Where the browser comes back to: by address, because localhost may be another's (RFC 8252 8.3)."""
        return f"http://127.0.0.1:{self.server_address[1]}{CALLBACK}"

    def wait(self, seconds: float) -> dict[str, str]:
        """The parameters of the answer. Raises LocalError when none comes in time."""
        deadline = time.monotonic() + seconds
        while self.answer is None:
            self.timeout = deadline - time.monotonic()
            if self.timeout <= 0:
                raise LocalError(f"Nobody signed in within {seconds:.0f} s.")
            self.handle_request()
        return self.answer


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    timeout = 5  # a connection that says nothing holds nobody up

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        parameters = dict(parse_qsl(parts.query))
        ours = secrets.compare_digest(parameters.get("state", "").encode(), self.server.state.encode())
        if parts.path != CALLBACK or not ours:
            self.send_error(400)
            return
        self.server.answer = parameters
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(DONE)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(DONE)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Nothing: the code would be in it."""

"""What the gateway does for every answer, so that no edge's annotations have to: HTTPS, and headers for browsers."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.addresses import is_from
from services.common.middleware import STARTS
from services.common.settings import Network

# a service that says something else of one of these has its reasons
DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
PROTOCOLS = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


class Edge:
    """Decides by which scheme the client came, sends it to HTTPS, and adds the headers that an answer lacks."""

    def __init__(
        self, app: ASGIApp, *, trusted_proxies: Iterable[Network], public_origin: str, hsts_seconds: int
    ) -> None:
        """Take the proxies whose X-Forwarded-Proto is believed, and where the platform is reached from outside."""
        self.app = app
        self.trusted_proxies = tuple(trusted_proxies)
        parts = urlsplit(public_origin)
        self.public_origin = f"{parts.scheme}://{parts.netloc}"
        self.hsts = f"max-age={hsts_seconds}; includeSubDomains" if hsts_seconds else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        said = self._said(scope)
        proto = said or ("https" if scope["scheme"] in {"https", "wss"} else "http")
        scope.setdefault("state", {})["forwarded_proto"] = proto

        async def send_dressed(message: Message) -> None:
            if message["type"] in STARTS:
                headers = MutableHeaders(scope=message)
                for name, value in DEFAULTS.items():
                    headers.setdefault(name, value)
                if proto == "https" and self.hsts is not None:
                    headers.setdefault("Strict-Transport-Security", self.hsts)
            await send(message)

        if said == "http" and self.public_origin.startswith("https://"):  # a WebSocket's handshake holds a token too
            await RedirectResponse(self._secure_url(scope), 308)(scope, receive, send_dressed)
        else:
            await self.app(scope, receive, send_dressed)

    def _said(self, scope: Scope) -> str | None:
        """What the proxy in front says. The right-most word is its own; all others are claims."""
        if not is_from(scope, self.trusted_proxies):
            return None
        word = ",".join(Headers(scope=scope).getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
        return PROTOCOLS.get(word)

    def _secure_url(self, scope: Scope) -> str:
        """The same at the platform's own address: the Host header is whatever the client made it."""
        query = scope["query_string"].decode("latin-1")
        return f"{self.public_origin}{scope['raw_path'].decode('latin-1')}" + (f"?{query}" if query else "")

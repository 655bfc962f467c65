"""How much of a body is read, and how long it may take to arrive."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.problems import problem

IDLE_SECONDS = 30.0
LINGER_SECONDS = 2.0
LINGER_BYTES = 8 * 1024 * 1024
CLOSE = {"Connection": "close"}


class BodyLimit:
    """Refuses bodies over a size (413), announced or chunked, and bodies that stop arriving (408)."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, idle_seconds: float = IDLE_SECONDS) -> None:
        """Take the largest body that is read, and for how long it may stand still."""
        self.app = app
        self.max_bytes = max_bytes
        self.idle_seconds = idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what is received; the application never sees a byte over the limit."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(receive, self.max_bytes, self.idle_seconds)
        if _announced(scope) > self.max_bytes:
            response = problem(scope, 413, title="Content too large", detail=body.too_large, headers=CLOSE)
            await response(scope, receive, body.after_rest(send))
            return
        await self.app(scope, body.receive, body.after_rest(send))


def _announced(scope: Scope) -> int:
    """The Content-Length; the server has refused those that are not numbers."""
    return int(Headers(scope=scope).get("content-length", "0"))


class _Body:
    """What has arrived of one request's body."""

    def __init__(self, receive: Receive, max_bytes: int, idle_seconds: float) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self._received = 0
        self._complete = False
        self.too_large = f"The body is longer than the {max_bytes} bytes that are read here"

    async def receive(self) -> Message:
        """The next message. Raises HTTPException: FastAPI lets no other class through while it reads a body."""
        if self._complete:  # what comes now is the end of the connection, in its own time
            return await self._receive()
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "The body stopped arriving", headers=CLOSE) from None
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._received > self._max_bytes:
            raise HTTPException(413, self.too_large, headers=CLOSE)
        return message

    def after_rest(self, send: Send) -> Send:
        """A `send` that, after a refusal, takes a little more of the body in before the connection is closed.

        Closed on a client that still sends, the connection is reset, and the client may never read why.
        """
        refused = False

        async def send_and_linger(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] in {408, 413}
            elif refused and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await self._discard()
                message = {"type": "http.response.body"}
            await send(message)

        return send_and_linger

    async def _discard(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                left = LINGER_BYTES
                while not self._complete and left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    self._complete = not message.get("more_body", False)

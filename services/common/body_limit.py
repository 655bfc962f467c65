"""How much of a body is read, and how long it may take to arrive."""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.problems import problem

IDLE_SECONDS = 30.0
LEAST_BYTES_PER_SECOND = 4096  # after the first IDLE_SECONDS
CLOSE = {"Connection": "close"}


class BodyLimit:
    """Refuses bodies over a size (413), announced or chunked, that arrive too slowly (408), or are packed (415).

    After a refusal the server takes a little more of the body in, so that the client reads why.
    """

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
        headers = Headers(scope=scope)
        if headers.get("content-encoding", "identity").lower() != "identity":
            # what is packed may be far larger than what is counted (RFC 9110 15.5.16 for the header)
            plain = {**CLOSE, "Accept-Encoding": "identity"}
            response = problem(scope, 415, detail="Send the body without a Content-Encoding", headers=plain)
            await response(scope, receive, send)
        elif int(headers.get("content-length", "0")) > self.max_bytes:  # the server refuses what is no number
            await problem(scope, 413, detail=body.too_large, headers=CLOSE)(scope, receive, send)
        else:
            await self.app(scope, body.receive, send)


class _Body:
    """What has arrived of one request's body."""

    def __init__(self, receive: Receive, max_bytes: int, idle_seconds: float) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self._started = time.monotonic()
        self._received = 0
        self._complete = False
        self.too_large = f"The body is longer than the {max_bytes} bytes that are read here"

    async def receive(self) -> Message:
        """The next message. Raises HTTPException: FastAPI lets no other class through while it reads a body."""
        if self._complete:  # what comes now is the end of the connection, in its own time
            return await self._receive()
        try:
            async with asyncio.timeout(min(self._idle_seconds, self._left_seconds())):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "The body stopped arriving, or arrives too slowly", headers=CLOSE) from None
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._received > self._max_bytes:
            raise HTTPException(413, self.too_large, headers=CLOSE)
        return message

    def _left_seconds(self) -> float:
        """Until when the next part is due: drops that come in time do not keep a request for ever."""
        due = self._started + self._idle_seconds + self._received / LEAST_BYTES_PER_SECOND
        return max(0.0, due - time.monotonic())

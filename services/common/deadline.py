"""The time that a caller gives a request, and the end of its work once nobody waits for the answer any more.

The work is cancelled where it stands: the driver then has Postgres end the statement, and what was not committed is
rolled back. Once an answer has begun, nothing here ends it: a stream has as long as its client takes.
"""

import asyncio
import re
from contextlib import suppress

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.problems import problem

HEADER = "x-request-timeout-ms"  # what is left, no time of day: the clocks of two machines differ
NUMBER = re.compile("[0-9]{1,7}")
LONGEST_MS = 3_600_000
# a request that is done by then, as most are, has nobody listen for its client's end: a task costs more than a timer
LISTEN_AFTER_SECONDS = 0.02
CLIENT_GONE = 499  # nobody reads it; the name that others give to it, for logs and metrics
NOTHING: Message = {"type": "http.request", "body": b"", "more_body": False}
GONE: Message = {"type": "http.disconnect"}

log = structlog.get_logger()


class Deadline:
    """Ends a request when its time is over (504) or its client has hung up (499), as long as nothing is answered.

    The time runs from the end of the request: how slowly a body may come is for others to say. Whose word the header is
    does not matter: it can only make a request shorter.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request = _Request(receive, _seconds(headers.get(HEADER)), with_body=_has_body(headers))

        async def send_noted(message: Message) -> None:
            request.answered()
            await send(message)

        watching: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        later = loop.call_later(LISTEN_AFTER_SECONDS, lambda: watching.append(loop.create_task(request.watch())))
        try:
            async with request.clock:
                request.heard()
                await self.app(scope, request.receive, send_noted)
        except TimeoutError:
            if request.is_answered or not request.clock.expired():
                raise
        finally:
            later.cancel()
            for task in watching:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        if request.left.is_set() and request.clock.expired():
            log.info("client_left")
            await problem(scope, CLIENT_GONE)(scope, receive, send)
        elif request.clock.expired():
            log.warning("deadline_passed")
            await problem(scope, 504, detail="The time that was given to this request is over")(scope, receive, send)


class _Request:
    """One request as it comes in, and the clock that runs against it."""

    def __init__(self, receive: Receive, seconds: float | None, *, with_body: bool) -> None:
        self._receive = receive
        self._seconds = seconds
        self.is_answered = False
        self._complete = asyncio.Event()
        self._pending = None if with_body else NOTHING
        self.left = asyncio.Event()
        self.clock = asyncio.timeout(None)
        if not with_body:
            self._complete.set()

    def heard(self) -> None:
        """If the request is there as a whole, its time runs from now on."""
        if self._seconds is not None and self._complete.is_set() and not self.is_answered:
            self._end_at(asyncio.get_running_loop().time() + self._seconds)

    def answered(self) -> None:
        """The answer has begun: the time is of no account any more."""
        if not self.is_answered:
            self.is_answered = True
            self._end_at(None)

    async def receive(self) -> Message:
        """What the application reads: the body, then the end of the connection in its own time."""
        if self._pending is not None:
            message, self._pending = self._pending, None
            return message
        if self._complete.is_set():
            await self.left.wait()
            return GONE
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.left.set()
            return message
        if not message.get("more_body", False):
            self._complete.set()
            self.heard()
        return message

    async def watch(self) -> None:
        """Wait until the client hangs up, and have the work end then."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left.set()
        if not self.is_answered:
            self._end_at(asyncio.get_running_loop().time())

    def _end_at(self, moment: float | None) -> None:
        with suppress(RuntimeError):  # it is ending already, or has ended
            self.clock.reschedule(moment)


def _seconds(value: str | None) -> float | None:
    """The time that is given, None for none or for what is no whole number of milliseconds."""
    if value is None or not NUMBER.fullmatch(value) or not 0 < int(value) <= LONGEST_MS:
        return None
    return int(value) / 1000


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"

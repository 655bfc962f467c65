"""One HTTP/1.1 connection to a pod, which is used again only after an exchange without a flaw."""

import asyncio
import select
import time
from collections import deque

import httptools

from services.gateway.exceptions import BrokenAnswerError, SlowAnswerError
from services.gateway.headers import NO_CONTENT, Header, are_sound

MAX_HEAD_BYTES = 64 * 1024  # status line and headers, with all interim answers (1xx) before them
MAX_FRAMING_BYTES = 16 * 1024  # of a body beside its own bytes: chunk sizes and extensions, trailers
HIGH_WATER_BYTES = 64 * 1024  # of an answer that wait for the client
VERSIONS = frozenset({"1.0", "1.1"})
WRITE_SECONDS = 30.0  # for a pod that takes nothing of a request's body


class Connection(asyncio.Protocol):
    """Sends one request at a time and reads its answer, no faster than somebody takes it."""

    def __init__(self) -> None:
        """Begin without a transport; the loop gives one."""
        self.idle_since = 0.0
        self.upgraded: bytes | None = None  # what came behind a 101 that was asked for
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._writable = asyncio.Event()
        self._writable.set()
        self._parser: httptools.HttpResponseParser | None = None  # while an answer is awaited
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._reset("GET", upgrade=False)

    def _reset(self, method: str, *, upgrade: bool) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.complete = False
        self._method = method
        self._upgrade = upgrade
        self._sent = False  # the request, to its end
        self._reusable = False
        self._until_closed = False
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._received = 0  # bytes since the request, or since the head of the answer
        self._delivered = 0  # those of them that are the body's own

    # what the loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self._transport = transport
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Parse; what nobody asked for ends the connection."""
        if self.upgraded is not None:
            self._deliver(data)
            return
        if self._parser is None or self.complete:
            self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switched:
            self._switch(data[switched.args[0] :])
        except httptools.HttpParserError as error:
            if not self.complete:  # else it is what follows an answer
                self._fail(f"not HTTP: {error.__context__ or error}")
            self.abort()
        else:
            self._check_bounds()
        self._wake()

    def _check_bounds(self) -> None:
        if not self.headers_complete:
            if self._received > MAX_HEAD_BYTES:
                self._fail("headers too long")
        elif self._received > MAX_FRAMING_BYTES + 2 * self._delivered:
            self._fail("more framing than body")

    def eof_received(self) -> None:
        """Let the transport close."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Finish an answer that ends with its connection; any other is broken."""
        self._transport = None
        self._writable.set()
        if self._until_closed and self.headers_complete and exc is None and self._error is None:
            self.complete = True
        elif not self.complete and self._error is None:
            self._error = BrokenAnswerError(
                "the connection was reset" if exc else "the connection was closed", begun=self._received > 0
            )
        self._wake()

    def pause_writing(self) -> None:
        """The pod takes no more for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()

    # what the parser calls

    def on_message_begin(self) -> None:
        """An answer begins: the first, or the one after an interim one."""
        if self.complete:
            raise BrokenAnswerError("more than one answer", begun=True)
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers come here too, and are dropped."""
        if not self.headers_complete:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Judge the head, unless it is an interim one."""
        assert self._parser is not None  # noqa: S101 - it is the one who calls
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:  # noqa: PLR2004 - interim (RFC 9110 15.2)
            return
        if status == 101 and not self._upgrade:  # noqa: PLR2004 - Switching Protocols
            raise BrokenAnswerError("switched protocols unasked", begun=True)
        if self._parser.get_http_version() not in VERSIONS:
            raise BrokenAnswerError("another version of HTTP", begun=True)
        if not 101 <= status < 600 or not are_sound(self.headers):  # noqa: PLR2004 - what HTTP knows
            raise BrokenAnswerError("a status or a header that cannot be passed on", begun=True)
        coding = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if coding not in ([], [b"chunked"]):
            raise BrokenAnswerError("a transfer coding that nobody asked for", begun=True)
        self.status = status
        self._received = 0
        bodiless = self._method == "HEAD" or status in NO_CONTENT
        framed = bool(coding) or any(name == b"content-length" for name, _ in self.headers)
        self._until_closed = not framed and not bodiless
        if bodiless:
            self._finish()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body until somebody takes it."""
        if self.complete:  # of an answer to HEAD
            self._reusable = False
            return
        self._delivered += len(body)
        self._deliver(body)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was an interim one."""
        if self.headers_complete and self.status != 101 and not self.complete:  # noqa: PLR2004 - as above
            self._finish()

    def _finish(self) -> None:
        assert self._parser is not None  # noqa: S101 - it is the one who calls
        self.complete = True
        self._reusable = self._parser.should_keep_alive() and not self._until_closed

    def _switch(self, rest: bytes) -> None:
        """From here on the bytes are the other protocol's."""
        self.upgraded = b""
        if rest:
            self._deliver(rest)

    # what the client calls

    @property
    def headers_complete(self) -> bool:
        """Whether the head of the answer is here."""
        return bool(self.status)

    @property
    def is_fit(self) -> bool:
        """Whether an idle connection can take a request: it is open, and nothing has come that nobody asked for.

        The socket itself is asked: an end or a late answer may wait there, unread by the loop.
        """
        return self._transport is not None and not self._transport.is_closing() and not self._poll.poll(0)

    @property
    def is_reusable(self) -> bool:
        """Whether the exchange went as HTTP says, to its end, on both sides."""
        return (
            self.complete and self._sent and self._reusable and self._error is None and self.upgraded is None
        ) and self.is_fit

    def start(self, method: str, head: bytes, *, upgrade: bool = False) -> None:
        """Send the head of a request and expect its answer."""
        self._reset(method, upgrade=upgrade)
        self._parser = httptools.HttpResponseParser(self)
        if self._transport is None:
            self._error = BrokenAnswerError("the connection was closed", begun=False)
        else:
            self._transport.write(head)

    async def write(self, data: bytes) -> None:
        """Send a part of a body, no faster than the pod reads. Raises SlowAnswerError when it does not at all."""
        if self._transport is None:
            return  # whoever reads hears of it
        self._transport.write(data)
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._writable.wait()
            except TimeoutError:
                raise SlowAnswerError("the request's body was not read") from None

    def end_request(self) -> None:
        """The request has been sent to its end."""
        self._sent = True

    async def head(self) -> None:
        """Wait for the head of the answer. Raises UpstreamError."""
        while not self.headers_complete:
            await self._more()

    async def read(self) -> bytes:
        """What has come of the body, waiting for some of it; empty at its end. Raises UpstreamError."""
        while not self._chunks:
            if self.complete:
                return b""
            await self._more()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._waiting_bytes = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    @property
    def exhausted(self) -> bool:
        """Whether the whole body has been read."""
        return self.complete and not self._chunks

    def release(self) -> None:
        """Be idle: what comes now was asked for by nobody."""
        self._parser = None
        self.idle_since = time.monotonic()

    def abort(self, error: Exception | None = None) -> None:
        """Cut the connection; whoever waits gets the error."""
        if error is not None and self._error is None:
            self._error = error
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _fail(self, reason: str) -> None:
        self.abort(BrokenAnswerError(reason, begun=True))

    def _deliver(self, data: bytes) -> None:
        self._chunks.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > HIGH_WATER_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

"""HTTP/1.1 as uvicorn reads it with httptools, with the limits that both lack."""

import asyncio
import json
from functools import partial
from http import HTTPStatus
from typing import Any
from weakref import ref

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from services.common.problems import MEDIA_TYPE
from services.common.refusals import Refusals
from services.common.statuses import kind

MAX_HEADER_BYTES = 64 * 1024  # request line and headers together; tokens take 8 KiB at most
HEADER_SECONDS = 10.0  # from the first byte of a request to the end of its headers
MAX_FRAMING_BYTES = 16 * 1024  # of a body beside its own bytes: chunk sizes and extensions, trailers
SLOW_READER_SECONDS = 60.0  # for a client that takes nothing of an answer
LINGER_SECONDS = 2.0  # for the rest of a body that nobody reads any more
LINGER_BYTES = 8 * 1024 * 1024
ONE_PACKET_BYTES = 64 * 1024  # of a body that is copied behind its head; a larger one is not worth the copy


class _RefusedError(Exception):
    """Raised inside the parser, which turns it into its own error."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses headers that are too long (431), too slow (closed), or without a host (400, RFC 9112 3.2)."""

    def __init__(self, *args: Any, refusals: Refusals, **kwargs: Any) -> None:
        """Take what uvicorn gives, and who is told of refusals."""
        super().__init__(*args, **kwargs)
        self._refusals = refusals
        self._headers_due: asyncio.TimerHandle | None = None
        self._linger_due: asyncio.TimerHandle | None = None
        self._reader_due: asyncio.TimerHandle | None = None
        self._in_headers = True
        self._offered = False  # an upgrade; its headers are read a second time, without the offer
        self._taken = False  # an offer of a WebSocket, where those are spoken
        self._pending = 0  # bytes received since the headers began
        self._body_received = 0  # bytes received since they ended
        self._body_delivered = 0  # those of them that are the body's own
        self._lingered = 0
        self._refusal = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give a connection that says nothing the time of an idle one."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        self._stop_lingering()
        self._stop_waiting_for_reader()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for a client that takes nothing of its answer, which holds what made it."""
        super().pause_writing()
        self._reader_due = self._reader_due or self.loop.call_later(SLOW_READER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        self._stop_waiting_for_reader()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one whose client has not even taken the last answer would never be closed."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def data_received(self, data: bytes) -> None:
        """Parse, and count what httptools takes without limit: unfinished headers, and what surrounds a body."""
        self._unset_keepalive_if_required()
        if self._in_headers:
            self._start_timer()
            self._pending += len(data)
        else:
            self._body_received += len(data)
        if self._linger_due is not None:
            self._lingered += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal)
            return
        if self._in_headers and self._pending > MAX_HEADER_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif not self._in_headers and self._body_received > MAX_FRAMING_BYTES + 2 * self._body_delivered:
            self._refuse(HTTPStatus.BAD_REQUEST)
        elif self._linger_due is not None and self._lingered > LINGER_BYTES:
            _close(self.transport)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            rest: int = offer.args[0]
            if self._taken:
                self._hand_over(data[rest:])
                return
            self._offered = False
            head = self._head_without_offer()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self._parse(head + data[rest:])

    def _hand_over(self, early: bytes) -> None:
        """Give the connection to the WebSocket. Nothing may come before it is accepted, or while we still answer."""
        if early or not self._is_answered():
            raise httptools.HttpParserError
        self._stop_timer()
        self._in_headers = False
        self.handle_websocket_upgrade()

    def _head_without_offer(self) -> bytes:
        """The headers as a client without the wish to upgrade would have sent them (RFC 9110 7.8: it may be ignored).

        The parser would take all that follows an offer, the request's body too, for the other protocol.
        """
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                value = b", ".join(o for o in options if o.lower() not in {b"upgrade", b"http2-settings"})  # noqa: PLW2901
            if name not in {b"upgrade", b"http2-settings"}:
                lines.append(name + b": " + value)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_begin(self) -> None:
        """A request begins."""
        self._unset_keepalive_if_required()  # the end of a body that nobody read may have come in the same packet
        self._start_timer()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers come here too, and are no headers (RFC 9110 6.5.1): they are dropped."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Judge the headers before anybody acts on them."""
        if self.parser.get_method() == b"CONNECT":
            raise _RefusedError
        if self.parser.should_upgrade():
            self._offered = True
            self._taken = self._should_upgrade() and not self._has_body()
            if not self._taken:
                return
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEADER_BYTES:
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _RefusedError
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts != 1 and not (hosts == 0 and self.parser.get_http_version() == "1.0"):
            raise _RefusedError
        if self._taken:
            super().on_headers_complete()
            return
        self._stop_timer()
        super().on_headers_complete()
        self.cycle.transport = _CycleTransport(self.transport, self.cycle)  # type: ignore[assignment]
        self._in_headers = False
        self._pending = self._body_received = self._body_delivered = 0

    def _has_body(self) -> bool:
        return any(name in {b"content-length", b"transfer-encoding"} for name, _ in self.headers)

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._body_delivered += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next bytes are headers again."""
        if self._offered:
            return
        self._in_headers = True
        super().on_message_complete()
        if self._linger_due is not None:
            self._stop_lingering()
            self._await_request()
            if not self.cycle.keep_alive:
                _close(self.transport)

    def on_response_complete(self) -> None:
        """Wait for the next request, or a little for the rest of this one.

        Closed on a client that still sends, the connection is reset, and the client may never read the answer.
        """
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._lingered = 0
            self._linger_due = self.loop.call_later(LINGER_SECONDS, partial(_close, self.transport))

    def _await_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _refuse(self, status: HTTPStatus) -> None:
        """Refuse what never becomes a request, in the form of every other error."""
        if self.transport.is_closing():
            return
        self._refusals.refused(status, self.client)
        if self._may_answer():
            slug, title = kind(status)
            body = json.dumps({"type": f"/problems/{slug}", "title": title, "status": status}).encode()
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        _close(self.transport)

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr] # None at first

    def _may_answer(self) -> bool:
        """Whether an answer now would be read as the one to what is refused."""
        if self._in_headers:
            return self._is_answered()
        return not self.cycle.response_started and not self.pipeline

    def _start_timer(self) -> None:
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self._headers_late)

    def _stop_timer(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _stop_lingering(self) -> None:
        if self._linger_due is not None:
            self._linger_due.cancel()
            self._linger_due = None

    def _stop_waiting_for_reader(self) -> None:
        if self._reader_due is not None:
            self._reader_due.cancel()
            self._reader_due = None

    def _headers_late(self) -> None:
        if not self.transport.is_closing():
            self._refusals.refused(HTTPStatus.REQUEST_TIMEOUT, self.client)
            _close(self.transport)


class _CycleTransport:
    """What an answer is written to. It leaves the connection open while a body is still arriving.

    The head waits for the first of the body, for no longer than until the loop turns: together they are one packet, and
    wake the client once.
    """

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle) -> None:
        self._transport = transport
        self._cycle = ref(cycle)  # which has this one: a ring would be left to the garbage collection, each request
        self._head: bytes | None = None
        self._started = False

    def write(self, data: bytes) -> None:
        cycle = self._cycle()
        if cycle is not None and cycle.response_started and not self._started:
            self._started = True
            if cycle.scope["method"] != "HEAD":  # to which nothing is written after it
                self._head = data
                asyncio.get_running_loop().call_soon(self._flush)
                return
        if self._head is None:
            self._transport.write(data)
        else:
            head, self._head = self._head, None
            # not `writelines`: since Python 3.12 an empty part stays in its buffer, and the connection never closes
            for part in (head + data,) if len(data) <= ONE_PACKET_BYTES else (head, data):
                self._transport.write(part)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._flush()
        cycle = self._cycle()
        # else the protocol closes, a little later
        if cycle is None or not (cycle.response_complete and cycle.more_body):
            _close(self._transport)

    def _flush(self) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            if not self._transport.is_closing():
                self._transport.write(head)


def _close(transport: asyncio.Transport) -> None:
    """Close when the client has taken what is written, and in any case after a while: it may never do."""
    transport.close()
    if transport.get_write_buffer_size():
        asyncio.get_running_loop().call_later(SLOW_READER_SECONDS, transport.abort)

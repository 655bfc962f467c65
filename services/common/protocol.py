"""HTTP/1.1 as uvicorn reads it with httptools, with the limits that both lack."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.common.problems import MEDIA_TYPE, phrase

MAX_HEADER_BYTES = 64 * 1024  # request line and headers together; tokens take 8 KiB at most
HEADER_SECONDS = 10.0  # from the first byte of a request to the end of its headers


class _RefusedError(Exception):
    """Raised inside the parser, which turns it into its own error."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses headers that are too long (431), too slow (closed), or without a host (400, RFC 9112 3.2)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives."""
        super().__init__(*args, **kwargs)
        self._headers_due: asyncio.TimerHandle | None = None
        self._in_headers = True
        self._pending = 0  # bytes received since the headers began
        self._refusal = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give a connection that says nothing the time of an idle one."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count while headers are being read: httptools keeps an unfinished one, however long."""
        if self._in_headers:
            self._start_timer()
            self._pending += len(data)
        super().data_received(data)
        if self._in_headers and self._pending > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self.send_400_response("headers too long")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._start_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Judge the headers before anybody acts on them."""
        self._stop_timer()
        self._in_headers = False
        self._pending = 0
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEADER_BYTES:
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _RefusedError
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts != 1 and not (hosts == 0 and self.parser.get_http_version() == "1.0"):
            raise _RefusedError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next bytes are headers again."""
        self._in_headers = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the parser's words are of no use to a client
        """Refuse what never becomes a request, in the same form as every other error."""
        status = self._refusal
        title = phrase(status)
        slug = title.lower().replace(" ", "-")
        body = json.dumps({"type": f"/problems/{slug}", "title": title, "status": status}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """An offer to upgrade is simply not taken (RFC 9110 7.8); that is no news for the log."""

    def _start_timer(self) -> None:
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self._headers_late)

    def _stop_timer(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _headers_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

"""WebSockets: the handshake is forwarded as a request, then messages go both ways until one side ends it."""

import asyncio
import base64
import hashlib
import secrets
from contextlib import suppress

import structlog
from starlette.types import Message, Receive, Scope, Send
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, State
from websockets.protocol import Protocol as WebSocketProtocol

from services.common.tasks import end
from services.common.tokens import Principal
from services.gateway.client import Request, RequestBody, Response
from services.gateway.exceptions import BrokenAnswerError, UpstreamError
from services.gateway.headers import Header, downstream_headers, upstream_headers
from services.gateway.routes import Route
from services.gateway.streams import Ending, Streams
from services.gateway.upstreams import Upstream

ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_REFUSAL_BYTES = 64 * 1024
PING_SECONDS = 20.0  # to the pod; an end without a word is noticed by its silence
SERVICE_RESTART, BAD_GATEWAY, GOING_AWAY, NO_CODE, ABNORMAL = 1012, 1014, 1001, 1005, 1006
POLICY = 1008
ENDINGS = {Ending.DRAIN: (SERVICE_RESTART, "come back"), Ending.REVOKED: (POLICY, "the token is revoked")}

log = structlog.get_logger()


class Tunnel:
    """Forwards the WebSockets of one route."""

    def __init__(self, route: Route, upstream: Upstream, streams: Streams) -> None:
        """Take the route, and what it shares with others."""
        self._route = route
        self._upstream = upstream
        self._streams = streams

    async def forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """From the handshake to the end. Raises UpstreamError as long as nothing is sent."""
        await receive()  # that the client connects
        key = base64.b64encode(secrets.token_bytes(16))
        exchange = await self._upstream.send(self._handshake(scope, receive, key))
        response = exchange.response
        try:
            if response.status != 101:  # noqa: PLR2004 - Switching Protocols
                await _refuse(response, send)
                return
            headers = dict(response.headers)
            if headers.get(b"sec-websocket-accept") != _accept(key):
                raise BrokenAnswerError("took another handshake", begun=True)
            subprotocol = headers.get(b"sec-websocket-protocol", b"").decode("latin-1") or None
            if subprotocol is not None and subprotocol not in scope["subprotocols"]:
                raise BrokenAnswerError("chose a subprotocol that was not offered", begun=True)
            cookies = [header for header in response.headers if header[0] == b"set-cookie"]
            await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": cookies})
            principal = scope["state"]["principal"]
            await Conversation(response, receive, send).until_its_end(self._streams, principal)
        finally:
            exchange.close()

    def _handshake(self, scope: Scope, receive: Receive, key: bytes) -> Request:
        timeout = self._route.timeout_seconds
        headers = upstream_headers(
            scope, host=self._upstream.authority.encode(), timeout_seconds=timeout, public=self._route.public
        )
        headers += [
            (b"connection", b"Upgrade"),
            (b"upgrade", b"websocket"),
            (b"sec-websocket-version", b"13"),
            (b"sec-websocket-key", key),
        ]
        if scope["subprotocols"]:
            headers.append((b"sec-websocket-protocol", ", ".join(scope["subprotocols"]).encode("latin-1")))
        query: bytes = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        body = RequestBody(receive, length=None, chunked=False)
        return Request("GET", target, headers, body, timeout, upgrade=True)


class Conversation:
    """Messages both ways over one accepted WebSocket, each no faster than the other side reads."""

    def __init__(self, response: Response, receive: Receive, send: Send) -> None:
        """Take the pod's side and the client's."""
        self._pod = response
        self._receive = receive
        self._send = send
        self._protocol = WebSocketProtocol(CLIENT, state=State.OPEN, max_size=MAX_MESSAGE_BYTES)
        self._fragments: list[bytes] = []
        self._text = False
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    async def until_its_end(self, streams: Streams, principal: Principal | None) -> None:
        """Return when either side has ended it, this process drains, or the token of `principal` is revoked."""
        with streams.registered(self._end, principal):
            tasks = [
                asyncio.create_task(part()) for part in (self._from_client, self._from_pod, self._ping, self._leave)
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await end(*tasks)

    async def _from_client(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code", NO_CODE)
                self._protocol.send_close(
                    GOING_AWAY if code in {NO_CODE, ABNORMAL} else code, message.get("reason") or ""
                )
                await self._flush()
                return
            text = message.get("text")
            if text is None:
                self._protocol.send_binary(message["bytes"])
            else:
                self._protocol.send_text(text.encode())
            await self._flush()

    async def _from_pod(self) -> None:
        while True:
            try:
                data = await self._pod.read()
            except UpstreamError as error:
                log.warning("websocket_broken_off", reason=str(error))
                await self._close(BAD_GATEWAY, "")
                return
            self._protocol.receive_data(data)
            for frame in self._protocol.events_received():
                assert isinstance(frame, Frame)  # noqa: S101 - the handshake is over
                if frame.opcode is Opcode.CLOSE:
                    received = self._protocol.close_rcvd
                    await self._flush()
                    await self._close(received.code if received else NO_CODE, received.reason if received else "")
                    return
                await self._take(frame)
            await self._flush()  # pongs, or the close that a wrong frame brings
            if self._protocol.parser_exc is not None:
                await self._close(BAD_GATEWAY, "")
                return

    async def _take(self, frame: Frame) -> None:
        if frame.opcode not in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            return
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            data = b"".join(self._fragments)
            self._fragments.clear()
            content: Message = {"text": data.decode(errors="replace")} if self._text else {"bytes": data}
            await self._send({"type": "websocket.send", **content})

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            self._protocol.send_ping(b"")
            await self._flush()

    def _end(self, why: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(why)

    async def _leave(self) -> None:
        why = await self._ending
        self._protocol.send_close(GOING_AWAY)
        await self._flush()
        await self._close(*ENDINGS[why])

    async def _close(self, code: int, reason: str) -> None:
        sendable = GOING_AWAY if code in {NO_CODE, ABNORMAL} else code
        with suppress(Exception):  # the client may be gone by now
            await self._send({"type": "websocket.close", "code": sendable, "reason": reason})

    async def _flush(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data:
            await self._pod.write(data)


def _accept(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + ACCEPT_GUID, usedforsecurity=False).digest())


async def _refuse(response: Response, send: Send) -> None:
    """Pass on an answer that is no WebSocket."""
    body = b""
    while not response.complete() and len(body) <= MAX_REFUSAL_BYTES:
        body += await response.read()
    headers: list[Header] = [
        h for h in downstream_headers(response.status, response.headers) if h[0] != b"content-length"
    ]
    await send({"type": "websocket.http.response.start", "status": response.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body[:MAX_REFUSAL_BYTES], "more_body": False})

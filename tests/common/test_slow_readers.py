"""A client that does not take its answer holds nothing for ever."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from services.common import protocol, server
from services.common.app import create_service
from services.common.settings import ServiceSettings
from tests.support import waits
from tests.support.clients import app_client

router = APIRouter()
ended: list[str] = []
SIZE = 16_000_000  # four times what Linux's socket buffers grow to: none of it waits in the server otherwise


@router.get("/endless")
async def endless() -> Response:
    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
                await asyncio.sleep(0)  # the server takes all that is sent to a client that is gone
        finally:
            ended.append("endless")

    return StreamingResponse(parts())


@router.get("/large")
async def large() -> Response:
    return Response(bytes(SIZE))


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections that the server has done with: a client that reads nothing is told of none."""
    gone: list[object] = []
    original = protocol.BoundedProtocol.connection_lost

    def noted(self: protocol.BoundedProtocol, exc: Exception | None) -> None:
        gone.append(self)
        original(self, exc)

    monkeypatch.setattr(protocol.BoundedProtocol, "connection_lost", noted)
    return gone


@asynccontextmanager
async def connection() -> AsyncIterator[socket.socket]:
    """To a service that has much to say; it can hold little."""
    app = create_service(ServiceSettings(), title="Reads", routers=[router])
    async with app_client(app) as client:
        with socket.socket() as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            opened.setblocking(False)  # noqa: FBT003 - it has no keyword
            await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", int(client.base_url.port or 0)))
            yield opened


LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n", LARGE, LARGE[:-2] + b"Connection: close\r\n\r\n"],
    ids=["endless", "kept", "closed"],
)
async def test_it_is_cut_off(request_: bytes, lost: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SLOW_READER_SECONDS", 0.3)
    async with connection() as client:
        client.send(request_)
        await waits.until(lambda: lost, "the cut")
    if b"endless" in request_:
        assert ended.pop() == "endless"


async def test_idle_with_an_answer_not_taken_it_is_cut_off_too(
    lost: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 0.3)
    async with connection() as client:
        client.send(LARGE)
        await waits.until(lambda: lost, "the cut")


async def test_who_goes_on_reading_is_not_and_who_stops_again_is(
    lost: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "SLOW_READER_SECONDS", 4)  # more than a busy machine lets this reader wait
    loop = asyncio.get_running_loop()
    async with connection() as client:
        client.send(LARGE)
        await asyncio.sleep(0.1)  # the server waits by now
        received = 0
        while received < SIZE:
            part = await loop.sock_recv(client, 1_000_000)
            assert part, f"cut off after {received} bytes"
            received += len(part)
        await asyncio.sleep(4.1)
        assert lost == []

        monkeypatch.setattr(protocol, "SLOW_READER_SECONDS", 0.3)
        client.send(LARGE.replace(b"large", b"endless"))  # for which the buffers have not grown enough

        await waits.until(lambda: lost, "the cut")
    assert ended.pop() == "endless"

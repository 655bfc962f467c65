"""A client that does not take its answer holds nothing for ever."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from services.common import protocol
from services.common.app import create_service
from services.common.settings import ServiceSettings
from tests.support import waits
from tests.support.clients import app_client

router = APIRouter()
ended: list[str] = []


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
    return Response(bytes(3_000_000))


async def left_unread(port: int, request: bytes) -> None:
    """Ask, read nothing, and wait until the server has cut the connection."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)  # noqa: FBT003 - it has no keyword
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    client.send(request)
    # a reset shows only in what is sent: nothing is read here
    await waits.until(lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or _is_cut(client), "the cut")
    client.close()


def _is_cut(client: socket.socket) -> bool:
    try:
        client.send(b"G")
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ],
    ids=["endless", "kept", "closed"],
)
async def test_it_is_cut_off(request_: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SLOW_READER_SECONDS", 0.3)
    app = create_service(ServiceSettings(), title="Reads", routers=[router])
    async with app_client(app) as client:
        await left_unread(int(client.base_url.port or 0), request_)
    if b"endless" in request_:
        assert ended.pop() == "endless"

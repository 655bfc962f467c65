"""WebSockets, where a service says that it speaks them."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from services.common import protocol
from services.common.app import create_service
from services.common.server import MAX_MESSAGE_BYTES
from services.common.settings import ServiceSettings
from tests.support.clients import app_client

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
router = APIRouter()


@router.websocket("/ws")
async def talk(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"{text} {socket.state.request_id}")


@router.get("/slow")
async def slow() -> str:
    await asyncio.sleep(0.3)
    return "slow"


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    app = create_service(ServiceSettings(), title="Speaks", routers=[router], websockets=True)
    async with app_client(app) as client:
        yield int(client.base_url.port or 0)


async def exchange(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    return received


async def test_it_lasts_longer_than_headers_may_take(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.5)
    async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
        await asyncio.sleep(0.6)
        await socket.send("hello")

        assert str(await socket.recv()).startswith("hello ")


async def test_messages_go_both_ways_under_a_request_id(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    async with connect(f"ws://127.0.0.1:{port}/ws", additional_headers={"X-Request-ID": "a" * 16}) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello " + "a" * 16
        assert socket.response is not None
        assert socket.response.headers["x-request-id"] == "a" * 16
    async with asyncio.timeout(20):
        while not (out := capsys.readouterr().out):  # noqa: ASYNC110 - the line has no event
            await asyncio.sleep(0.01)
    assert "request_finished" in out
    assert "101" in out


async def test_a_message_that_is_too_long_ends_it(port: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
        await socket.send("x" * (MAX_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_headers_are_held_to_the_rules_of_every_request(port: int) -> None:
    for wrong in (HANDSHAKE.replace(b"Host: a\r\n", b""), HANDSHAKE + b"Host: b\r\n", HANDSHAKE + b"X: y\r\n" * 20_000):
        answer = await exchange(port, wrong + b"\r\n")
        assert answer.split()[1] in {b"400", b"431"}, answer


async def test_nothing_may_come_before_it_is_accepted(port: int) -> None:
    for early in (b"\x81\x85", b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"):
        assert (await exchange(port, HANDSHAKE + b"\r\n" + early)).startswith(b"HTTP/1.1 400 ")


async def test_an_offer_behind_a_request_that_is_still_answered_does_not_cut_in(port: int) -> None:
    answer = await exchange(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + HANDSHAKE + b"\r\n")

    assert b" 101 " not in answer


async def test_an_offer_with_a_body_is_an_ordinary_request(port: int) -> None:
    answer = await exchange(
        port, HANDSHAKE.replace(b"Upgrade\r\n", b"Upgrade, close\r\n", 1) + b"Content-Length: 1\r\n\r\nx"
    )

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 404


async def test_a_service_that_does_not_speak_them_answers_as_to_a_request() -> None:
    app = create_service(ServiceSettings(), title="Silent", routers=[router])
    async with app_client(app) as client:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{client.base_url.port}/ws")
    assert refused.value.response.status_code == 404

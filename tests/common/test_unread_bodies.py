"""A body that nobody reads any more: the answer arrives, and the connection ends or goes on."""

import asyncio
import re
from functools import partial

import pytest

from services.common import protocol, server
from tests.common.sample.main import SampleSettings, create_app
from tests.common.sample.requests import LAST, POST
from tests.support import waits
from tests.support.clients import app_client
from tests.support.exchanges import exchange

SOCKETS_BYTES = 100_000_000  # more than the system takes in for one whose reader is gone
UNREAD = [
    b"GET /v1/sample/ping HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
    b"DELETE /v1/sample/ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
]


@pytest.mark.parametrize("request_", UNREAD, ids=["200", "404", "405"])
async def test_a_connection_whose_body_nobody_reads_ends(
    port: int, request_: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.2)

    async with asyncio.timeout(30):
        assert await exchange(port, request_, b"x", pause=0.05)
        assert await exchange(port, request_ + b"x")


async def test_a_body_nobody_reads_is_not_taken_in_for_ever(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_BYTES", 100_000)
    head = UNREAD[0].replace(b": 10", b": 999999999")
    sent = 0
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    with pytest.raises(ConnectionError):  # noqa: PT012 - whichever write it is
        while sent < 10 * SOCKETS_BYTES:
            writer.write(b"x" * 50_000)
            await writer.drain()
            sent += 50_000
    writer.close()
    assert sent < SOCKETS_BYTES


async def test_a_body_nobody_reads_that_ends_in_time_keeps_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 60)

    answer = await exchange(port, UNREAD[0], b"x" * 10 + LAST, pause=0.1)

    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_after_a_body_nobody_reads_the_connection_ends_as_after_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 60)
    last = UNREAD[0].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with app_client(create_app(SampleSettings())) as client:
        port = int(client.base_url.port or 0)
        assert b"200 OK" in await exchange(port, last, b"x" * 10, pause=0.1)
        monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 0.2)
    async with app_client(create_app(SampleSettings())) as client:
        assert b"200 OK" in await exchange(int(client.base_url.port or 0), UNREAD[0], b"x" * 10, pause=0.1)


async def test_after_a_body_nobody_reads_no_later_request_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that comes with the end of that body nor one that comes after it."""
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 4)  # more than a busy machine lets the next part wait
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 60)
    rest, slow = b"x" * 10, LAST.replace(b"ping", b"slow/5")
    async with app_client(create_app(SampleSettings())) as client:
        port = int(client.base_url.port or 0)
        answers = await asyncio.gather(
            exchange(port, UNREAD[0], rest + slow, pause=0.1), exchange(port, UNREAD[0], rest, slow, pause=0.1)
        )

    assert [answer.count(b"HTTP/1.1 200 OK") for answer in answers] == [2, 2]


async def test_a_closing_connection_stays_until_the_body_that_nobody_reads_has_ended(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 60)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UNREAD[0].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = re.findall(rb"content-length: (\d+)", head)
    await reader.readexactly(int(length))

    writer.write(b"x" * 9)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await reader.read()
    writer.write(b"x")
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()


async def test_bodies_nobody_reads_are_counted_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_BYTES", 100_000)
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 60)
    head = UNREAD[0].replace(b": 10", b": 60000")

    async with app_client(create_app(SampleSettings(max_body_bytes=200_000))) as client:
        port = int(client.base_url.port or 0)
        answer = await exchange(port, head, b"x" * 60_000, head, b"x" * 50_000, b"x" * 10_000 + LAST, pause=0.1)

    assert answer.count(b"HTTP/1.1 200 OK") == 3


async def test_lingering_is_not_measured_as_the_answers_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 2 * waits.SECONDS)
    app = create_app(SampleSettings(max_body_bytes=10))
    labels = {"method": "POST", "handler": "/v1/sample/raw"}
    async with app_client(app) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", int(client.base_url.port or 0))
        writer.write(POST + b"Content-Length: 11\r\n\r\n")
        measured = partial(app.state.registry.get_sample_value, "http_request_duration_seconds_count", labels)
        await waits.until(measured, "the measure, while the rest of the body is still waited for")
        writer.close()

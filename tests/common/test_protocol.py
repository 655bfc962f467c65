"""What is refused before it becomes a request, seen from a bare socket."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from services.common import protocol, server
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client

GOOD = b"GET /v1/sample/ping HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    async with app_client(create_app(SampleSettings(max_body_bytes=2000))) as client:
        yield int(client.base_url.port or 0)


async def exchange(port: int, *sent: bytes, pause: float = 0.0) -> bytes:
    """Send, then read until the server closes, which it must do within a bound."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        for part in sent:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(10):
            while part := await reader.read(65_536):
                received += part
    except ConnectionError:
        return received  # closed while we still wrote
    finally:
        writer.close()
    return received


async def status(port: int, *sent: bytes) -> int:
    answer = await exchange(port, *sent)
    return int(answer.split()[1]) if answer else 0


async def test_a_good_request_is_answered(port: int) -> None:
    answer = await exchange(port, GOOD + b"Connection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nserver:" not in answer.lower()


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"WEIRD / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda value: repr(value[:40]),
)
async def test_what_is_no_request_is_a_problem_document(port: int, request_: bytes) -> None:
    answer = await exchange(port, request_)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request"), answer
    assert b"content-type: application/problem+json" in answer


async def test_one_header_without_end_is_refused_before_it_is_kept(port: int) -> None:
    begun = GOOD + b"X-Long: "
    longest = protocol.MAX_HEADER_BYTES - len(begun)

    assert await status(port, begun + b"x" * (longest + 1)) == 431  # it was one byte more, and all of it was read
    assert b"200 OK" not in await exchange(port, begun, *[b"x" * 50_000] * 40)


async def test_many_headers_are_refused(port: int) -> None:
    assert await status(port, GOOD + b"".join(b"X-%d: y\r\n" % n for n in range(9000)) + b"\r\n") == 431


async def test_a_long_path_is_refused(port: int) -> None:
    assert await status(port, b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n") == 431


async def test_headers_of_ordinary_size_pass(port: int) -> None:
    assert await status(port, GOOD + b"X-Long: " + b"x" * 30_000 + b"\r\nConnection: close\r\n\r\n") == 200


async def test_headers_that_never_end_are_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.2)

    assert await exchange(port, GOOD) == b""
    assert await exchange(port, *[b"X: y\r\n"] * 2, b"G", pause=0.15) == b""


async def test_slow_headers_of_a_second_request_are_cut_off_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.2)

    answer = await exchange(port, GOOD + b"\r\n", GOOD)

    assert answer.count(b"HTTP/1.1 200 OK") == 1


async def test_a_connection_that_says_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 0.2)
    async with app_client(create_app(SampleSettings())) as client:
        port = int(client.base_url.port or 0)

        assert await exchange(port) == b""
        assert b"200 OK" in await exchange(port, GOOD + b"\r\n")  # and so does one that has said all


async def test_a_slow_answer_is_not_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.1)

    request = GOOD.replace(b"ping", b"slow/0.4") + b"Connection: close\r\n\r\n"

    assert await status(port, request) == 200


async def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    slow = GOOD.replace(b"ping", b"slow/0.05")

    answer = await exchange(port, slow + b"\r\n" + GOOD + b"\r\n" + slow + b"Connection: close\r\n\r\n")

    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b"slept") < answer.index(b"hello") < answer.rindex(b"slept")


async def test_an_offer_to_upgrade_is_not_taken(port: int) -> None:
    assert await status(port, GOOD + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n") == 200


async def test_a_body_that_stops_arriving_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.common.body_limit.BodyLimit.__init__.__kwdefaults__", {"idle_seconds": 0.2})
    async with app_client(create_app(SampleSettings())) as client:
        port = int(client.base_url.port or 0)
        head = b"POST /v1/sample/raw HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"

        assert await status(port, head + b"abc") == 408


def test_answers_do_not_wait_for_the_clients_acknowledgement() -> None:
    with server.listen("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

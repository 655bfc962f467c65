"""What is refused before it becomes a request, seen from a bare socket."""

import asyncio
import json
import socket
import struct

import pytest

from services.common import protocol, server
from services.common.app import create_service
from tests.common.sample.main import SampleSettings, create_app, router
from tests.common.sample.requests import GOOD, LAST, POST
from tests.support.clients import app_client
from tests.support.exchanges import exchange, status
from tests.support.garbage import REQUESTS, left_by_requests


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


async def test_only_http_1_0_does_without_a_host(port: int) -> None:
    assert await status(port, b"GET /v1/sample/ping HTTP/1.0\r\n\r\n") == 200
    assert await status(port, b"GET /v1/sample/ping HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n") == 400


async def test_headers_are_counted_for_each_request_by_itself(port: int) -> None:
    one = GOOD + b"X-Long: " + b"x" * 30_000 + b"\r\n\r\n"

    assert (await exchange(port, one, one, one, LAST, pause=0.05)).count(b"HTTP/1.1 200 OK") == 4


async def test_headers_that_never_end_are_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.2)

    assert await exchange(port, GOOD) == b""
    assert await exchange(port, GOOD, *[b"X: y\r\n"] * 2, b"X", pause=0.15) == b""


async def test_headers_that_come_in_drops_are_cut_off_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.3)
    app = create_app(SampleSettings())
    async with app_client(app) as client:
        port = int(client.base_url.port or 0)
        assert await exchange(port, *[bytes([byte]) for byte in LAST], pause=0.02) == b""
        assert await exchange(port, b"\r\n") == b""  # which a parser skips

    assert app.state.registry.get_sample_value("http_requests_refused_total", {"status": "408"}) == 2


async def test_slow_headers_of_a_second_request_are_cut_off_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.2)

    answer = await exchange(port, GOOD + b"\r\n", GOOD)

    assert answer.count(b"HTTP/1.1 200 OK") == 1


async def test_a_connection_that_says_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 1)
    async with app_client(create_app(SampleSettings())) as client:
        port = int(client.base_url.port or 0)

        assert await exchange(port) == b""
        assert b"200 OK" in await exchange(port, GOOD + b"\r\n")  # and so does one that has said all


async def test_a_slow_answer_is_not_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 1)

    request = GOOD.replace(b"ping", b"slow/1.5") + b"Connection: close\r\n\r\n"

    assert await status(port, request) == 200


DATA_SEGMENTS_IN = 152  # where struct tcp_info of linux/tcp.h has tcpi_data_segs_in


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells of segments")
async def test_a_short_answer_comes_in_one_piece(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GOOD + b"\r\n")
    async with asyncio.timeout(10):
        await reader.readuntil(b"}")
    told = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    writer.close()

    assert struct.unpack_from("=I", told, DATA_SEGMENTS_IN) == (1,)


async def test_the_head_of_an_answer_does_not_wait_for_a_body_that_comes_later(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GOOD.replace(b"ping", b"late") + b"\r\n")
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    assert head.startswith(b"HTTP/1.1 200 OK")


async def test_the_head_of_an_answer_that_breaks_off_at_once_is_sent() -> None:
    plain = create_service(SampleSettings(), title="Sample", routers=[router], deadlines=False)  # they take a turn
    async with app_client(plain) as client:
        answer = await exchange(int(client.base_url.port or 0), GOOD.replace(b"ping", b"head-only") + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 200 OK")


async def test_answers_to_head_are_in_order_with_the_others(port: int) -> None:
    head = GOOD.replace(b"GET", b"HEAD") + b"\r\n"

    answer = await exchange(port, head + head + LAST)

    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.endswith(b"}")
    assert answer.count(b"hello") == 1


async def test_an_exchange_leaves_nothing_to_the_garbage_collector(port: int) -> None:
    request = GOOD + b"\r\n"
    assert await left_by_requests(port, request, b"}") < REQUESTS


async def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    slow = GOOD.replace(b"ping", b"slow/0.05")

    answer = await exchange(port, slow + b"\r\n" + GOOD + b"\r\n" + slow + b"Connection: close\r\n\r\n")

    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b"slept") < answer.index(b"hello") < answer.rindex(b"slept")


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


async def test_an_offer_to_upgrade_is_not_taken(port: int) -> None:
    assert await status(port, GOOD + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n") == 200


async def test_a_request_with_an_offer_keeps_its_body_and_what_follows_it(port: int) -> None:
    for body in (b"Content-Length: 4\r\n\r\nabcd", b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"):
        whole = POST + OFFER + body + LAST
        for parts in ([whole], [whole[:200], whole[200:]], [POST + OFFER, body, LAST]):
            answer = await exchange(port, *parts, pause=0.01)

            assert b'{"bytes":4}' in answer
            assert b"hello" in answer


async def test_an_offer_of_the_last_request_is_answered_whatever_follows(port: int) -> None:
    offer = POST + OFFER.replace(b"Upgrade,", b"Upgrade, close,") + b"Content-Length: 4\r\n\r\nabcd"

    assert b'{"bytes":4}' in await exchange(port, offer + LAST)


async def test_trailers_are_no_headers(port: int) -> None:
    request = CHUNKED.replace(b"raw", b"echo-authorization")

    body = b"1\r\nx\r\n0\r\nAuthorization: Bearer a\r\n\r\n"

    for parts in ([request + body + LAST], [request, body + LAST]):
        answer = await exchange(port, *parts, pause=0.05)

        assert b'{"authorization":[]}' in answer
        assert b"hello" in answer


@pytest.mark.parametrize(
    "endless",
    [b"0\r\n" + b"X: y\r\n" * 40_000, b"0\r\nX: " + b"y" * 200_000, b"1;" + b"x" * 200_000, b"1\r\nx\r\n" * 30_000],
    ids=["trailers", "trailer", "extension", "crumbs"],
)
async def test_what_surrounds_a_body_has_an_end(port: int, endless: bytes) -> None:
    answer = await exchange(port, CHUNKED, endless, b"1", pause=0.05)

    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b"", answer  # reset: we still wrote


async def test_small_chunks_of_a_sane_size_pass(port: int) -> None:
    crumbs = [b"2\r\nab\r\n" * 100] * 8

    assert b'{"bytes":1600}' in await exchange(port, CHUNKED, *crumbs, b"0\r\n\r\n" + LAST, pause=0.01)


async def test_what_may_surround_a_body_grows_with_that_body_alone() -> None:
    large = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    async with app_client(create_app(SampleSettings(max_body_bytes=200_000))) as client:
        port = int(client.base_url.port or 0)
        passed = await exchange(port, CHUNKED, *[large] * 25, b"0\r\n\r\n" + LAST, pause=0.01)
        refused = await exchange(port, CHUNKED + large * 25 + b"0\r\n\r\n", CHUNKED, b"1;" + b"x" * 60_000, pause=0.1)

    assert b'{"bytes":102400}' in passed
    assert b"hello" in passed
    assert b'{"bytes":102400}' in refused
    assert b"HTTP/1.1 400 " in refused


async def test_refusals_are_counted_and_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(SampleSettings())
    async with app_client(app) as client:
        port = int(client.base_url.port or 0)
        capsys.readouterr()
        assert await status(port, b"nonsense\r\n\r\n") == 400
        assert await status(port, GOOD + b"X: y\r\n" * 20_000) == 431
        lines = [
            line for line in map(json.loads, capsys.readouterr().out.splitlines()) if line["event"] == "request_refused"
        ]

    assert [(line["event"], line["level"], line["status"]) for line in lines] == [
        ("request_refused", "info", 400),
        ("request_refused", "info", 431),
    ]
    assert app.state.registry.get_sample_value("http_requests_refused_total", {"status": "400"}) == 1


async def test_a_refusal_is_never_read_as_the_answer_to_the_request_before(port: int) -> None:
    answer = await exchange(port, GOOD.replace(b"ping", b"slow/0.3") + b"\r\n" + b"nonsense\r\n\r\n")

    assert b"HTTP/1.1 400" not in answer


@pytest.mark.parametrize(
    "before",
    [CHUNKED.replace(b"POST", b"GET").replace(b"raw", b"late"), GOOD.replace(b"ping", b"slow/4") + b"\r\n" + CHUNKED],
)
async def test_a_broken_body_is_not_refused_in_the_midst_of_an_answer_or_before_its_turn(
    port: int, before: bytes
) -> None:
    assert b"HTTP/1.1 400" not in await exchange(port, before, b"zz\r\n", pause=0.1)


def test_idle_connections_are_kept_longer_than_by_any_proxy_in_front() -> None:
    assert server.KEEP_ALIVE_SECONDS > server.CLIENT_IDLE_SECONDS >= 90


async def test_a_body_that_comes_in_drops_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.common.body_limit.BodyLimit.__init__.__kwdefaults__", {"idle_seconds": 0.3})
    async with app_client(create_app(SampleSettings())) as client:
        port = int(client.base_url.port or 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"Content-Length: 1000\r\n\r\n")
        answer = asyncio.create_task(reader.readline())
        async with asyncio.timeout(30):
            while not answer.done():
                writer.write(b"x")
                await asyncio.wait({answer}, timeout=0.1)
        writer.close()

    assert (await answer).startswith(b"HTTP/1.1 408 ")


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

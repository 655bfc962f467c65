"""What goes in comes out, both ways."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.gateway import echo
from tests.gateway.conftest import ANSWER, Gateway, MakeGateway, Pod, pod
from tests.support import waits
from tests.support.clients import app_client
from tests.support.garbage import REQUESTS, left_by_requests


@pytest.fixture(scope="module")
async def gateway(make_gateway: MakeGateway) -> AsyncIterator[Gateway]:
    async with (
        app_client(echo.create_echo()) as service,
        make_gateway({"/v1/echo": str(service.base_url).rstrip("/")}) as made,
    ):
        yield made


async def test_path_query_method_and_body_arrive_as_they_were_sent(gateway: Gateway) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = await gateway.client.request(method, "/v1/echo/a%20b/%C3%BC?q=1&q=%2F", content=b"x" * 1000)

        assert (answer.status_code, answer.content) == (200, b"x" * 1000)
        assert (answer.headers["x-method"], answer.headers["x-path"]) == (method, "/v1/echo/a%20b/%C3%BC")


async def test_an_exchange_leaves_nothing_to_the_garbage_collector(make_gateway: MakeGateway) -> None:
    async def answering(reader: Any, writer: asyncio.StreamWriter) -> None:
        while await reader.head():
            writer.write(ANSWER)

    async with pod(answering) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        left = await left_by_requests(gateway.port, b"GET /v1/a HTTP/1.1\r\nHost: a\r\n\r\n", b"hello")

    assert left < REQUESTS


async def test_head_is_head_and_has_no_content(gateway: Gateway) -> None:
    for _ in range(3):
        answer = await gateway.client.head("/v1/echo")

        assert (answer.status_code, answer.content, answer.headers["x-method"]) == (200, b"", "HEAD")


async def test_an_unknown_path_is_404_here(gateway: Gateway) -> None:
    for path in ("/v2", "/v1", "/v1/echoes", "/V1/echo"):
        answer = await gateway.client.get(path)

        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_a_body_without_a_length_is_streamed_while_the_answer_is_read(make_gateway: MakeGateway) -> None:
    async def parrot(reader: Any, writer: asyncio.StreamWriter) -> None:
        await reader.head()
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while part := await reader.read(1000):
            writer.write(part)

    async with pod(parrot) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /v1/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        async with asyncio.timeout(30):
            for part in (b"5\r\nfirst\r\n", b"6\r\nsecond\r\n", b"0\r\n\r\n"):
                writer.write(part)
                assert (await reader.readuntil(part)).endswith(part)
        writer.close()


async def test_events_arrive_one_by_one(gateway: Gateway) -> None:
    async with gateway.client.stream("GET", "/v1/echo?how=events") as answer:
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(4)] == ["data: 0", "", "data: 1", ""]
        assert gateway.sample("http_requests_in_flight", kind="stream") == 1
        assert gateway.sample("http_requests_in_flight", kind="request") == 0
    await waits.until(lambda: gateway.sample("http_requests_in_flight", kind="stream") == 0, "the stream's end")


async def test_who_expects_100_continue_gets_it_before_the_body(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    async with asyncio.timeout(30):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    writer.close()


async def test_without_a_token_no_100_continue_invites_a_body(make_gateway: MakeGateway, recorder: Pod) -> None:
    async with make_gateway({"/v1/a": {"upstream": recorder.url, "public": False}}) as gateway:
        answer = await gateway.exchange(
            b"POST /v1/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        )

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert recorder.opened == 0


async def test_a_client_that_hangs_up_cuts_the_connection_behind(make_gateway: MakeGateway) -> None:
    async def silent(reader: Any, _: object) -> None:
        await reader.head()
        await reader.read()

    async with pod(silent) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        asking = asyncio.create_task(gateway.client.get("/v1/a"))
        await waits.until(lambda: standing.heads, "the request")
        asking.cancel()

        await waits.until(lambda: standing.closed == 1, "the end of the connection")
        labels = {"method": "GET", "handler": "/v1/a", "status": "499"}
        await waits.until(lambda: gateway.sample("http_requests_total", **labels) == 1, "the count")


async def test_trailers_are_dropped_both_ways(make_gateway: MakeGateway) -> None:
    trailing = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
    )

    async def script(reader: Any, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.head()
            seen.append(await reader.readuntil(b"0\r\n\r\n"))
            writer.write(trailing)

    seen: list[bytes] = []
    request = b"POST /v1/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-User-Id: 1\r\n\r\n"
    async with pod(script) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        answer = await gateway.exchange(request, request.replace(b"Host: a", b"Host: a\r\nConnection: close"))

    assert seen == [b"1\r\nx\r\n0\r\n\r\n"] * 2
    assert answer.count(b"2\r\nok\r\n0\r\n\r\n") == 2
    assert b"X-Sum" not in answer
    assert b"trailer" not in answer
    assert standing.opened == 1


async def test_connections_to_a_pod_are_used_again(make_gateway: MakeGateway, recorder: Pod) -> None:
    async with make_gateway({"/v1/a": recorder.url}) as gateway:
        for _ in range(50):
            assert (await gateway.client.get("/v1/a")).text == "hello"
        assert recorder.opened == 1
        assert gateway.sample("gateway_upstream_connections") == 1


async def test_the_route_is_the_handler_of_what_is_forwarded(make_gateway: MakeGateway, recorder: Pod) -> None:
    async with make_gateway({"/v1/a": recorder.url}) as gateway:
        await gateway.client.get("/v1/a/17/secret")

        assert gateway.sample("http_requests_total", method="GET", handler="/v1/a", status="200") == 1
        assert gateway.sample("gateway_upstream_duration_seconds_count", upstream=f"127.0.0.1:{recorder.port}") == 1


async def test_websockets_carry_messages_both_ways_and_the_way_they_ended(gateway: Gateway) -> None:
    url = f"ws://127.0.0.1:{gateway.port}/v1/echo/ws"
    async with connect(url, subprotocols=["b", "a"], compression=None) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "b"
        assert gateway.sample("http_requests_in_flight", kind="stream") == 1
        for size in (1, 200, 70_000, 900_000):
            await socket.send("x" * size)
            assert await socket.recv() == "X" * size
        await socket.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you wish")
    await waits.until(lambda: gateway.sample("http_requests_in_flight", kind="stream") == 0, "the stream's end")


async def test_a_refused_websocket_is_refused_in_the_services_words(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://127.0.0.1:{gateway.port}/v1/echo/ws?refuse=1")

    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["www-authenticate"] == "Bearer"
    assert refused.value.response.body == b"no"


async def test_a_websocket_to_a_dead_service_is_a_problem_document(make_gateway: MakeGateway) -> None:
    async with make_gateway({"/v1/a": "http://127.0.0.1:1"}) as gateway:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{gateway.port}/v1/a")

    assert refused.value.response.status_code == 503
    assert b"/problems/service-away" in (refused.value.response.body or b"")


async def test_an_offer_of_another_protocol_is_not_taken(make_gateway: MakeGateway, recorder: Pod) -> None:
    async with make_gateway({"/v1/a": recorder.url}) as gateway:
        answer = await gateway.exchange(
            b"GET /v1/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n"
        )

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"pgrade" not in recorder.heads[0]

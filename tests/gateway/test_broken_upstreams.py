"""Whatever a pod does, the client gets a stated answer, nobody gets another's bytes, and no connection is left."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from services.gateway import connection as connection_module
from tests.gateway.conftest import ANSWER, Gateway, MakeGateway, Script, Writer, answering, pod
from tests.support import waits

OK = b"HTTP/1.1 200 OK\r\n"


def saying(*parts: bytes, then: str = "close") -> Script:
    """A pod that reads a request, writes these, and closes, resets, or says nothing more."""

    async def script(reader: Any, writer: Writer) -> None:
        await reader.head()
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if then == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif then == "silence":
            await reader.read()

    return script


async def deaf(_: Any, writer: Writer) -> None:
    # else the system may take in 32 MiB for it
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    await asyncio.sleep(60)


async def closing(_: Any, writer: Writer) -> None:
    writer.close()


async def flood(reader: Any, writer: Writer) -> None:
    await reader.head()
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)
        await writer.drain()


NO_ANSWER: dict[str, Script] = {
    "closes at once": closing,
    "closes after the request": saying(),
    "resets after the request": saying(then="reset"),
    "closes in the status line": saying(b"HTTP/1.1 20"),
    "closes in the headers": saying(OK + b"Content-Length: 5\r\n"),
    "is not HTTP": saying(b"220 smtp.example.com ESMTP\r\n"),
    "is TLS": saying(b"\x15\x03\x01\x00\x02\x02\x0a"),
    "is HTTP/2": saying(b"HTTP/2.0 200 OK\r\n\r\n"),
    "is HTTP/0.9": saying(b"hello"),
    "says 999": saying(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"),
    "says 000": saying(b"HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n"),
    "says a status without end": saying(b"HTTP/1.1 20000000000000000000 OK\r\nContent-Length: 0\r\n\r\n"),
    "switches protocols unasked": saying(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nsecret"),
    "switches protocols without a word": saying(b"HTTP/1.1 101 S\r\n\r\n"),
    "has two lengths": saying(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    "has a list of lengths": saying(OK + b"Content-Length: 5, 6\r\n\r\nhello!"),
    "has a negative length": saying(OK + b"Content-Length: -5\r\n\r\nhello"),
    "has a length in hex": saying(OK + b"Content-Length: 0x5\r\n\r\nhello"),
    "has a length beyond all numbers": saying(OK + b"Content-Length: 99999999999999999999999\r\n\r\nhello"),
    "has a length and chunks": saying(
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ),
    "has chunks and a length": saying(
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ),
    "has a coding of its own": saying(OK + b"Transfer-Encoding: gzip\r\n\r\nhello"),
    "has a coding twice": saying(OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "has NUL in a value": saying(OK + b"X: a\0b\r\nContent-Length: 5\r\n\r\nhello"),
    "has NUL in a name": saying(OK + b"X\0: a\r\nContent-Length: 5\r\n\r\nhello"),
    "has a control character in a value": saying(OK + b"X: a\x01b\r\nContent-Length: 5\r\n\r\nhello"),
    "has DEL in a value": saying(OK + b"X: a\x7fb\r\nContent-Length: 5\r\n\r\nhello"),
    "has a lone CR in a value": saying(OK + b"X: a\rSet-Cookie: b\r\nContent-Length: 5\r\n\r\nhello"),
    "has a space before the colon": saying(OK + b"X : a\r\nContent-Length: 5\r\n\r\nhello"),
    "folds a header": saying(OK + b"X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello"),
    "has a header without colon": saying(OK + b"nonsense\r\nContent-Length: 5\r\n\r\nhello"),
    "has giant headers": saying(OK + b"X: y\r\n" * 40_000),
    "has a giant header": saying(OK + b"X: " + b"y" * 200_000),
    "has a header without end": saying(OK + b"X: " + b"y" * 200_000, then="silence"),
    "floods with interim answers": flood,
}


@pytest.fixture(scope="module")
async def gateway(make_gateway: MakeGateway) -> AsyncIterator[Gateway]:
    async with make_gateway({"/v1/unused": "http://127.0.0.1:1"}) as made:
        yield made


@pytest.mark.parametrize("script", NO_ANSWER.values(), ids=NO_ANSWER)
async def test_what_is_no_answer_is_502_and_leaves_no_connection(script: Script, make_gateway: MakeGateway) -> None:
    async with pod(script) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        for method in ("GET", "POST"):
            answer = await gateway.client.request(method, "/v1/a", content=b"x" * 10 if method == "POST" else b"")

            assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")
            assert answer.json()["type"] == "/problems/bad-gateway"
        await waits.until(lambda: gateway.sample("gateway_upstream_connections") == 0, "the end of the connections")
        assert gateway.sample("http_requests_in_flight", kind="request") == 0


async def test_nobody_at_home_is_503_with_a_time_to_come_back(make_gateway: MakeGateway) -> None:
    async with make_gateway({"/v1/a": "http://127.0.0.1:1"}) as gateway:
        for method in ("GET", "POST"):
            answer = await gateway.client.request(method, "/v1/a")

            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/service-away")
            assert 1 <= int(answer.headers["retry-after"]) <= 3


async def test_a_name_without_pods_is_503(make_gateway: MakeGateway) -> None:
    async with make_gateway({"/v1/a": "http://nobody.invalid:1"}, resolve=_nobody) as gateway:
        answer = await gateway.client.get("/v1/a")

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/service-away")


async def _nobody(_: str, __: int) -> list[str]:
    return []


@pytest.mark.parametrize(
    "script",
    [
        deaf,
        saying(then="silence"),
        saying(b"HTTP/1.1 100 Continue\r\n\r\n", then="silence"),
        saying(OK, then="silence"),
    ],
    ids=["reads nothing", "says nothing", "says 100 and no more", "stops in the headers"],
)
async def test_silence_is_504(script: Script, make_gateway: MakeGateway) -> None:
    async with pod(script) as standing:
        route = {"upstream": standing.url, "timeout_seconds": 0.2}
        async with make_gateway({"/v1/a": route}) as gateway:
            answer = await gateway.client.post("/v1/a", content=b"x")

            assert (answer.status_code, answer.json()["type"]) == (504, "/problems/gateway-timeout")
            await waits.until(lambda: gateway.sample("gateway_upstream_connections") == 0, "the end of the connection")


async def test_a_pod_that_takes_no_more_of_a_body_is_504(
    make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "WRITE_SECONDS", 0.3)
    async with pod(deaf) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        answer = await gateway.client.post("/v1/a", content=bytes(12_000_000))

    assert answer.status_code == 504


HALF: dict[str, Script] = {
    "closes before the promised length": saying(OK + b"Content-Length: 10\r\n\r\nhello"),
    "resets before the promised length": saying(OK + b"Content-Length: 10\r\n\r\nhello", then="reset"),
    "closes before the last chunk": saying(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    "resets an answer without length": saying(OK + b"\r\nhello", then="reset"),
    "has a chunk that is longer than it says": saying(
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n"
    ),
    "has a chunk size that is none": saying(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n\r\n"),
    "has a negative chunk": saying(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n\r\n"),
    "has a chunk without end": saying(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5;" + b"x" * 200_000),
    "has trailers without end": saying(
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 40_000
    ),
    "stands still": saying(OK + b"Content-Length: 10\r\n\r\nhello", then="silence"),
}


@pytest.mark.parametrize("script", HALF.values(), ids=HALF)
async def test_half_an_answer_is_seen_as_half_by_the_client(script: Script, make_gateway: MakeGateway) -> None:
    async with pod(script) as standing, make_gateway({"/v1/a": standing.url}, idle_timeout_seconds=0.3) as gateway:
        with pytest.raises(httpx2.RemoteProtocolError):
            await gateway.client.get("/v1/a")

        await waits.until(lambda: gateway.sample("gateway_upstream_connections") == 0, "the end of the connection")
        assert gateway.sample("http_requests_in_flight", kind="request") == 0


async def pouring_trailers(reader: Any, writer: Writer) -> None:
    await reader.head()
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
    while True:
        writer.write(b"X: y\r\n" * 100)
        await writer.drain()


async def test_trailers_without_end_are_cut_off_long_before_the_answer_stands_still(make_gateway: MakeGateway) -> None:
    async with (
        pod(pouring_trailers) as standing,
        make_gateway({"/v1/a": standing.url}, idle_timeout_seconds=60) as gateway,
    ):
        with pytest.raises(httpx2.RemoteProtocolError):
            await gateway.client.get("/v1/a")


WHOLE_BUT_NOT_TO_BE_USED_AGAIN: dict[str, bytes] = {
    "says more than it promised": ANSWER + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret",
    "says nonsense behind its answer": ANSWER + b"nonsense",
    "says close": ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
    "speaks HTTP/1.0": ANSWER.replace(b"1.1", b"1.0"),
    "ends with its connection": OK + b"\r\nhello",
}


@pytest.mark.parametrize("said", WHOLE_BUT_NOT_TO_BE_USED_AGAIN.values(), ids=WHOLE_BUT_NOT_TO_BE_USED_AGAIN)
async def test_a_connection_with_a_flaw_is_not_used_again(said: bytes, make_gateway: MakeGateway) -> None:
    then = "close" if said.endswith(b"\r\n\r\nhello") and b"Length" not in said else "silence"
    async with pod(saying(said, then=then)) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        for _ in range(3):
            answer = await gateway.client.get("/v1/a")
            assert (answer.status_code, answer.text) == (200, "hello")

        assert standing.opened == 3
        await waits.until(lambda: gateway.sample("gateway_upstream_connections") == 0, "the end of the connections")


def answering_and_more(late: asyncio.Event, more: bytes) -> Any:
    """Answers one request and, once told to, goes on."""

    async def script(reader: Any, writer: Writer) -> None:
        await reader.head()
        writer.write(ANSWER)
        await late.wait()
        writer.write(more)
        await reader.read()

    return script


async def test_what_comes_late_over_an_idle_connection_is_nobodys_answer(make_gateway: MakeGateway) -> None:
    """Also when the loop has not read it yet: the next request is sent in the same breath."""
    late = asyncio.Event()
    script = answering_and_more(late, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")

    async with pod(script) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        assert (await gateway.client.get("/v1/a")).text == "hello"
        late.set()
        assert (await gateway.client.get("/v1/a")).text == "hello"
        assert standing.opened == 2


async def test_an_idle_connection_over_which_something_comes_is_closed(make_gateway: MakeGateway) -> None:
    """What comes of it later would else be read as the next answer."""
    late = asyncio.Event()
    script = answering_and_more(late, b"HTTP/1.1 200 OK\r\nContent-Le")

    async with pod(script) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        assert (await gateway.client.get("/v1/a")).text == "hello"
        assert gateway.sample("gateway_upstream_connections") == 1
        late.set()
        await waits.until(lambda: gateway.sample("gateway_upstream_connections") == 0, "the end of the connection")


async def test_a_head_answer_with_content_does_not_spoil_the_next(make_gateway: MakeGateway) -> None:
    async with pod(answering()) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        for _ in range(3):
            answer = await gateway.client.head("/v1/a")
            assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "5", b"")
            assert (await gateway.client.get("/v1/a")).text == "hello"


async def test_a_pod_whose_answers_break_off_is_free_again(make_gateway: MakeGateway) -> None:
    """One that was busy for ever would get nothing any more as long as another is free."""

    async def two(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.3"]

    half = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    async with (
        pod(half, "127.0.0.2") as broken,
        pod(answering(), "127.0.0.3", broken.port) as good,
        make_gateway({"/v1/a": f"http://pods.test:{broken.port}"}, resolve=two) as gateway,
    ):
        for _ in range(40):
            await gateway.exchange(b"GET /v1/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert min(len(broken.heads), len(good.heads)) > 5


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_content_pass_with_any_length(status: int, make_gateway: MakeGateway) -> None:
    said = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\nETag: a\r\n\r\n" % status
    async with pod(answering(said)) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        for _ in range(2):
            answer = await gateway.client.get("/v1/a")
            assert (answer.status_code, answer.headers["etag"], answer.content) == (status, "a", b"")
            assert "content-length" not in answer.headers


async def test_interim_answers_are_dropped(make_gateway: MakeGateway) -> None:
    said = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ANSWER
    async with pod(answering(said)) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        for _ in range(2):
            answer = await gateway.client.get("/v1/a")
            assert (answer.text, "link" in answer.headers) == ("hello", False)
        assert standing.opened == 1


async def test_an_answer_before_the_end_of_the_body_is_passed_on(make_gateway: MakeGateway) -> None:
    said = b"HTTP/1.1 413 X\r\nContent-Length: 5\r\n\r\nlarge"
    async with pod(saying(said, then="silence")) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        answer = await gateway.exchange(b"POST /v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", b"12345")

        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.endswith(b"large")
        await waits.until(lambda: standing.closed == 1, "the end of the connection")


async def ask_by_number(client: httpx2.AsyncClient, number: int) -> str:
    try:
        answer = await client.post(f"/v1/a/{number}")
    except httpx2.RemoteProtocolError:
        return "half"
    if answer.status_code == 502:
        return "502"
    return "own" if answer.text == str(number) else answer.text


async def test_every_client_gets_its_own_answer_while_pods_break(make_gateway: MakeGateway) -> None:
    """200 clients over kept connections, to a pod that breaks one answer in five in all ways at once."""
    broken = [b"", b"HTTP/1.1 2", OK + b"Content-Length: 90\r\n\r\nshort", ANSWER + b"HTTP/1.1 200 OK\r\n\r\nsecret"]
    count = 0

    async def script(reader: Any, writer: Writer) -> None:
        nonlocal count
        while True:
            head = await reader.head()
            count += 1
            if count % 5 == 0:
                writer.write(broken[count // 5 % 4])
                return
            name = head.split()[1].rpartition(b"/")[2]
            await asyncio.sleep(0.001)
            writer.write(OK + b"Content-Length: %d\r\n\r\n" % len(name) + name)

    async with pod(script) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        outcomes: list[str] = []
        for first in range(0, 1000, 200):
            outcomes += await asyncio.gather(
                *(ask_by_number(gateway.client, number) for number in range(first, first + 200))
            )
        await waits.until(
            lambda: gateway.sample("gateway_upstream_connections") == standing.opened - standing.closed,
            "the same count",
        )
    assert set(outcomes) <= {"own", "502", "half", "hello"}
    assert outcomes.count("own") == 800


async def test_a_problem_document_says_which_request_it_was(gateway: Gateway) -> None:
    answer = await gateway.client.get("/v1/unused/x", headers={"X-Request-ID": "abcdefgh-12345678"})

    assert json.loads(answer.content) == {
        "type": "/problems/service-away",
        "title": "Service away",
        "status": 503,
        "detail": "The service that answers here takes no connections",
        "instance": "/v1/unused/x",
        "request_id": "abcdefgh-12345678",
    }

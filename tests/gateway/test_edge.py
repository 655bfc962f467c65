"""What the gateway does for every answer, so that no edge has to."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.gateway.cluster import pod_process
from tests.gateway.conftest import MakeGateway, Pod, answering, pod
from tests.support import waits
from tests.support.servers import free_port

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "strict-origin-when-cross-origin",
}
HTTPS = {"X-Forwarded-Proto": "https"}
HSTS = "max-age=31536000; includeSubDomains"


async def test_every_answer_has_the_security_headers(make_gateway: MakeGateway, recorder: Pod) -> None:
    routes = {
        "/v1/a": recorder.url,
        "/v1/b": {"upstream": recorder.url, "public": False},
        "/v1/c": "http://127.0.0.1:1",
    }
    async with make_gateway(routes, max_body_bytes=10) as gateway:
        answers = [
            await gateway.client.get("/v1/a"),
            await gateway.client.get("/v1/b"),
            await gateway.client.get("/v1/c"),
            await gateway.client.get("/nowhere"),
            await gateway.client.get("/v1/a//b"),
            await gateway.client.post("/v1/a", content=b"x" * 11),
        ]

    assert [answer.status_code for answer in answers] == [200, 401, 503, 404, 400, 413]
    for answer in answers:
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY
        assert answer.headers["x-request-id"]


async def test_what_a_service_sets_by_itself_stays(make_gateway: MakeGateway) -> None:
    said = (
        b"HTTP/1.1 200 OK\r\nX-Frame-Options: SAMEORIGIN\r\nReferrer-Policy: no-referrer\r\n"
        b"Strict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n"
    )
    async with (
        pod(answering(said)) as standing,
        make_gateway({"/v1/a": standing.url}, trusted_proxies="127.0.0.1/32") as gateway,
    ):
        answer = await gateway.client.get("/v1/a", headers=HTTPS)

    assert answer.headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
    assert answer.headers.get_list("strict-transport-security") == ["max-age=1"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("trusted", "said", "seen"),
    [
        ("127.0.0.1/32", "https", (200, HSTS)),
        ("127.0.0.1/32", "http, https", (200, HSTS)),
        ("127.0.0.1/32", "HTTPS", (200, HSTS)),
        ("127.0.0.1/32", "http", (308, None)),
        ("127.0.0.1/32", "https, http", (308, None)),
        ("127.0.0.1/32", "gopher", (200, None)),
        ("127.0.0.1/32", "", (200, None)),
        ("10.0.0.0/8", "https", (200, None)),
        ("10.0.0.0/8", "http", (200, None)),
        ("", "https", (200, None)),
        ("", "http", (200, None)),
    ],
)
async def test_only_a_trusted_proxy_says_by_which_scheme_the_client_came(
    make_gateway: MakeGateway, recorder: Pod, trusted: str, said: str, seen: tuple[int, str | None]
) -> None:
    async with make_gateway({"/v1/a": recorder.url}, trusted_proxies=trusted) as gateway:
        answer = await gateway.client.get("/v1/a", headers={"X-Forwarded-Proto": said})

    assert (answer.status_code, answer.headers.get("strict-transport-security")) == seen
    if answer.status_code == 200:
        assert f"x-forwarded-proto: {'https' if seen[1] else 'http'}\r\n".encode() in recorder.heads[0]
    else:
        assert recorder.opened == 0


async def test_hsts_of_no_seconds_is_not_sent(make_gateway: MakeGateway, recorder: Pod) -> None:
    """A max-age of 0 would take back what browsers remember."""
    async with make_gateway({"/v1/a": recorder.url}, trusted_proxies="127.0.0.1/32", hsts_seconds=0) as gateway:
        answer = await gateway.client.get("/v1/a", headers=HTTPS)

    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers


async def test_a_websocket_without_tls_is_sent_to_https_as_well(make_gateway: MakeGateway, recorder: Pod) -> None:
    handshake = (
        b"GET /v1/a?q=1 HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Proto: http\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    async with make_gateway({"/v1/a": recorder.url}, trusted_proxies="127.0.0.1/32") as gateway:
        answer = (await gateway.exchange(handshake)).decode().lower()

    assert answer.startswith("http/1.1 308 ")
    assert "\r\nlocation: https://slipway.test/v1/a?q=1\r\n" in answer
    assert recorder.opened == 0


async def test_the_redirect_keeps_path_and_query_and_takes_no_hosts_word(
    make_gateway: MakeGateway, recorder: Pod
) -> None:
    async with make_gateway({"/v1/a": recorder.url}, trusted_proxies="127.0.0.1/32") as gateway:
        answer = await gateway.client.post(
            "/v1/a/%C3%BC%20x?q=%2F&r", headers={"X-Forwarded-Proto": "http", "Host": "evil.example"}
        )

    assert (answer.status_code, answer.headers["location"]) == (308, "https://slipway.test/v1/a/%C3%BC%20x?q=%2F&r")


async def test_a_body_may_be_as_long_as_its_route_permits(make_gateway: MakeGateway) -> None:
    async def chunks() -> Any:
        for _ in range(11):
            yield b"x"

    async def slurping(reader: Any, writer: asyncio.StreamWriter) -> None:
        if b"chunked" in await reader.head():
            await reader.readuntil(b"0\r\n\r\n")
        await reader.readexactly(10)
        writer.write(b"HTTP/1.1 204 X\r\n\r\n")

    async with pod(slurping) as standing:
        routes = {"/v1/a": {"upstream": standing.url, "max_body_bytes": 10}, "/v1/a/b": {"upstream": standing.url}}
        async with make_gateway(routes, max_body_bytes=1000) as gateway:
            fits = await gateway.client.post("/v1/a", content=b"x" * 10)
            fits_below = await gateway.client.post("/v1/a/b", content=b"x" * 10)
            announced = await gateway.client.post("/v1/a", content=b"x" * 11)
            counted = await gateway.client.post("/v1/a", content=chunks())
            at_all = await gateway.client.post("/v1/a/b", content=b"x" * 1001)
            await waits.until(lambda: gateway.sample("gateway_upstream_connections") == 0, "the end of the connections")

    assert [answer.status_code for answer in (fits, fits_below)] == [204, 204]
    for answer in (announced, counted, at_all):
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/content-too-large")


ORIGIN = "https://app.example.com"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization",
}


async def test_origins_of_the_settings_may_call_from_a_browser(make_gateway: MakeGateway, recorder: Pod) -> None:
    route = {"upstream": recorder.url, "public": False}
    async with make_gateway({"/v1/a": route}, cors_origins=f"{ORIGIN}, http://localhost:3000") as gateway:
        preflight = await gateway.client.options("/v1/a", headers=PREFLIGHT)
        refused = await gateway.client.get("/v1/a", headers={"Origin": ORIGIN})
        strangers = await gateway.client.options("/v1/a", headers=PREFLIGHT | {"Origin": "https://evil.example"})
        asks = PREFLIGHT | {"Access-Control-Request-Headers": "x-user-id"}
        unknown = await gateway.client.options("/v1/a", headers=asks)

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert words(preflight, "allow-methods") == {"get", "head", "post", "put", "patch", "delete"}
    assert words(preflight, "allow-headers") >= {"authorization", "content-type", "idempotency-key", "if-match"}
    assert "access-control-allow-credentials" not in preflight.headers
    # a browser shows the page no refusal without it, and of the headers few
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    assert words(refused, "expose-headers") >= {"etag", "location", "retry-after", "x-request-id", "ratelimit"}
    assert "origin" in refused.headers["vary"].lower()
    assert "access-control-allow-origin" not in strangers.headers
    assert (unknown.status_code, words(unknown, "allow-headers") & {"x-user-id"}) == (400, set())


def words(answer: httpx2.Response, name: str) -> set[str]:
    """What an answer lists for a browser."""
    return set(answer.headers.get(f"access-control-{name}", "").lower().replace(" ", "").split(","))


async def test_without_origins_there_is_no_cors(make_gateway: MakeGateway, recorder: Pod) -> None:
    async with make_gateway({"/v1/a": {"upstream": recorder.url, "public": False}}) as gateway:
        answer = await gateway.client.options("/v1/a", headers=PREFLIGHT)

    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers


async def held(reader: Any, writer: asyncio.StreamWriter) -> None:
    """Answers /stream with events and keeps the others waiting."""
    head = await reader.head()
    if b"/stream" in head:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\ndata: 1\n\n")
    await reader.read()


async def test_more_requests_at_once_than_permitted_are_refused_early(make_gateway: MakeGateway) -> None:
    async with pod(held) as standing, make_gateway({"/v1/a": standing.url}, max_requests_in_flight=2) as gateway:
        waiting = [asyncio.create_task(gateway.client.get("/v1/a")) for _ in range(2)]
        await waits.until(lambda: standing.opened == 2, "two requests")
        assert gateway.sample("http_requests_in_flight", kind="request") == 2

        refused = await gateway.client.get("/v1/a")

        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/overloaded")
        assert 1 <= int(refused.headers["retry-after"]) <= 3
        assert standing.opened == 2
        assert gateway.sample("gateway_requests_refused_total", reason="overloaded") == 1
        assert (await gateway.client.get("/nowhere")).status_code == 404
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await waits.until(lambda: gateway.sample("http_requests_in_flight", kind="request") == 0, "room")
        with pytest.raises(httpx2.ReadTimeout):
            await gateway.client.get("/v1/a", timeout=httpx2.Timeout(30, read=0.2))  # it was let in


async def test_streams_are_counted_apart(make_gateway: MakeGateway) -> None:
    async with (
        pod(held) as standing,
        make_gateway({"/v1/a": standing.url}, max_requests_in_flight=1, max_streams=2) as gateway,
        gateway.client.stream("GET", "/v1/a/stream") as first,
        gateway.client.stream("GET", "/v1/a/stream") as second,
    ):
        assert (first.status_code, second.status_code) == (200, 200)
        third = await gateway.client.get("/v1/a/stream")

        assert (third.status_code, third.json()["type"]) == (503, "/problems/overloaded")
        assert gateway.sample("http_requests_in_flight", kind="stream") == 2
        assert gateway.sample("http_requests_in_flight", kind="request") == 0


async def test_a_websocket_is_counted_as_a_stream(make_gateway: MakeGateway) -> None:
    """One that is open takes no place of a request, and where there are enough of them another is refused."""
    port = free_port()
    with pod_process("127.0.0.2", port):
        routes = {"/v1/pod": f"http://127.0.0.2:{port}"}
        async with make_gateway(routes, max_requests_in_flight=1, max_streams=1) as gateway:
            url = f"ws://127.0.0.1:{gateway.port}/v1/pod/ws"
            async with connect(url) as first:
                await first.send("a")
                assert await first.recv() == "127.0.0.2 a"

                assert (await gateway.client.get("/v1/pod")).status_code == 200
                with pytest.raises(InvalidStatus) as refused:
                    await connect(url)
            assert refused.value.response.status_code == 503
            assert "retry-after" in refused.value.response.headers


async def test_a_service_is_told_how_long_it_may_take(make_gateway: MakeGateway, recorder: Pod) -> None:
    routes = {"/v1/a": {"upstream": recorder.url, "timeout_seconds": 2.5}}
    async with make_gateway(routes) as gateway:
        await gateway.client.get("/v1/a", headers={"X-Request-Timeout-Ms": "999999"})

    assert b"x-request-timeout-ms: 2500\r\n" in recorder.heads[0]
    assert b"999999" not in recorder.heads[0]


async def test_one_line_tells_of_a_forwarded_request_and_whose_it_was(
    make_gateway: MakeGateway, recorder: Pod, issuer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with make_gateway({"/v1/a": {"upstream": recorder.url, "public": False}}) as gateway:
        capsys.readouterr()
        await gateway.client.get("/v1/a/secret-path?secret=query", headers=issuer.headers(sub="carol"))
    lines = capsys.readouterr().out.splitlines()

    [line] = [line for line in lines if "request_finished" in line]
    assert "handler=/v1/a " in line or json.loads(line)["handler"] == "/v1/a"
    assert "carol" in line
    assert "secret" not in line

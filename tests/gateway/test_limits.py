"""Limits by principal, address and route: told in headers, refused with 429, and with a stated answer without state."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from services.common import state_limits
from services.common.limits import Limit, Outcome
from services.common.redis import open_redis
from services.gateway.limits import describe
from services.gateway.quotas import Quota
from services.gateway.routes import parse_routes
from tests.gateway.conftest import Gateway, MakeGateway, Pod, answering, pod
from tests.support.servers import Server, redis_server
from tests.support.tokens import Issuer

DAY = 86_400
HTTPS = {"X-Forwarded-Proto": "https"}


def per(who: str, count: int, seconds: int = DAY, **more: Any) -> dict[str, Any]:
    return {"per": who, "count": count, "seconds": seconds, **more}


def new_path() -> str:
    """A route of the test's own: limits of one Redis are shared by all who name a route alike."""
    return f"/v1/{uuid.uuid4().hex}"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with open_redis(SecretStr(redis_url), timeout_seconds=20) as client:
        yield client


@pytest.fixture
def own_redis() -> Iterator[Server]:
    """A Redis that a test may stop; it keeps an append-only file, as `state` does."""
    if "TEST_REDIS_URL" in os.environ:
        pytest.skip("servers are given, and there may be no program to start one of the test's own")
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


def status_of(answers: list[httpx2.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


async def test_a_limit_is_told_counted_down_and_refused_with_a_problem_of_its_own(
    make_gateway: MakeGateway, recorder: Pod, redis_url: str
) -> None:
    path = new_path()
    route = {"upstream": recorder.url, "limits": [per("route", 2, 100)]}
    async with make_gateway({path: route}, state_url=redis_url) as gateway:
        answers = [await gateway.client.get(path) for _ in range(3)]
        refused = answers[-1]

        assert status_of(answers) == [200, 200, 429]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"route-100s";q=2;w=100'}
        assert [answer.headers["ratelimit"].rpartition(";")[0] for answer in answers] == [
            '"route-100s";r=1',
            '"route-100s";r=0',
            '"route-100s";r=0',
        ]
        assert (refused.json()["type"], refused.json()["status"]) == ("/problems/rate-limited", 429)
        assert refused.headers["content-type"] == "application/problem+json"
        assert 0 < int(refused.headers["retry-after"]) <= 50  # one of two comes back in half the time
        assert len(recorder.heads) == 2
        assert gateway.sample("gateway_limits_refused_total", route=path, per="route") == 1
        assert gateway.sample("gateway_limits_decided_total", by="state") == 3
        assert gateway.sample("gateway_requests_refused_total", reason="rate-limited") == 1


async def test_a_principal_is_a_subject_by_one_client(
    make_gateway: MakeGateway, recorder: Pod, redis_url: str, issuer: Issuer
) -> None:
    path = new_path()
    route = {"upstream": recorder.url, "public": False, "limits": [per("principal", 1)]}
    people = [
        {"sub": "alice", "client_id": "app"},
        {"sub": "alice", "client_id": "app"},
        {"sub": "alice", "client_id": "other"},
        {"sub": "bob", "client_id": "app"},
        {"sub": "app", "client_id": "alice"},
    ]
    async with make_gateway({path: route}, state_url=redis_url) as gateway:
        answers = [await gateway.client.get(path, headers=issuer.headers(**who)) for who in people]

    assert status_of(answers) == [200, 429, 200, 200, 200]


async def test_an_address_is_the_clients_as_trusted_proxies_tell_it_and_of_ipv6_its_64(
    make_gateway: MakeGateway, recorder: Pod, redis_url: str
) -> None:
    path = new_path()
    route = {"upstream": recorder.url, "limits": [per("address", 1)]}
    said = ["192.0.2.1", "192.0.2.2", "6.6.6.6, 192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
    async with make_gateway({path: route}, state_url=redis_url, trusted_proxies="127.0.0.0/8") as gateway:
        answers = [await gateway.client.get(path, headers=HTTPS | {"X-Forwarded-For": hop}) for hop in said]
    async with make_gateway({path: route}, state_url=redis_url) as gateway:
        untrusted = [await gateway.client.get(path, headers={"X-Forwarded-For": f"192.0.2.{n}"}) for n in (8, 9)]

    assert status_of(answers) == [200, 200, 429, 200, 429, 200]
    assert status_of(untrusted) == [200, 429]


async def test_what_one_limit_refuses_spends_nothing_in_the_others(
    make_gateway: MakeGateway, recorder: Pod, redis_url: str, issuer: Issuer
) -> None:
    path = new_path()
    limits = [per("principal", 2), per("address", 5, burst=5), per("route", 5, DAY // 2)]
    route = {"upstream": recorder.url, "public": False, "limits": limits}
    async with make_gateway({path: route}, state_url=redis_url) as gateway:
        greedy = [await gateway.client.get(path, headers=issuer.headers(sub="greedy")) for _ in range(9)]
        others = [await gateway.client.get(path, headers=issuer.headers(sub=f"other-{n}")) for n in range(4)]

    assert status_of(greedy) == [200, 200] + 7 * [429]
    assert status_of(others) == [200, 200, 200, 429]
    assert greedy[0].headers["ratelimit-policy"] == (
        '"principal-86400s";q=2;w=86400, "address-86400s";q=5;w=86400, "route-43200s";q=5;w=43200'
    )
    assert greedy[0].headers["ratelimit"].startswith('"principal-86400s";r=1;t=')


async def test_windows_of_one_kind_count_beside_each_other(
    make_gateway: MakeGateway, recorder: Pod, redis_url: str
) -> None:
    path = new_path()
    limits = [per("address", 9, DAY // 2), per("address", 2, DAY), per("address", 8, DAY // 4)]
    async with make_gateway({path: {"upstream": recorder.url, "limits": limits}}, state_url=redis_url) as gateway:
        answers = [await gateway.client.get(path) for _ in range(3)]

    assert status_of(answers) == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"].count(";q=") == 3


async def test_a_limit_of_some_methods_leaves_the_others_alone(
    make_gateway: MakeGateway, recorder: Pod, redis_url: str
) -> None:
    path = new_path()
    limits = [per("address", 1, methods=["POST", "PUT"])]
    async with make_gateway({path: {"upstream": recorder.url, "limits": limits}}, state_url=redis_url) as gateway:
        answers = [await gateway.client.request(method, path) for method in ("GET", "POST", "GET", "PUT", "DELETE")]

    assert status_of(answers) == [200, 200, 200, 429, 200]


async def test_trying_tokens_is_limited_as_well(
    make_gateway: MakeGateway, recorder: Pod, redis_url: str, issuer: Issuer
) -> None:
    path = new_path()
    route = {"upstream": recorder.url, "public": False, "limits": [per("principal", 9), per("address", 3)]}
    async with make_gateway({path: route}, state_url=redis_url) as gateway:
        bad = [await gateway.client.get(path, headers={"Authorization": f"Bearer {n}"}) for n in range(4)]
        good = await gateway.client.get(path, headers=issuer.headers())

    assert status_of(bad) == [401, 401, 401, 429]
    assert bad[0].headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert bad[0].headers["ratelimit"].startswith('"address-86400s";r=2')
    assert good.status_code == 429


async def test_the_handshake_of_a_websocket_counts_as_a_request(
    make_gateway: MakeGateway, recorder: Pod, redis_url: str
) -> None:
    path = new_path()
    asked = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n".encode()
    asked += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    route = {"upstream": recorder.url, "limits": [per("address", 1)]}
    async with make_gateway({path: route}, state_url=redis_url) as gateway:
        first, second = await gateway.exchange(asked), await gateway.exchange(asked)

    assert first.startswith(b"HTTP/1.1 200 ")  # the pod's, which knows no WebSockets
    assert second.startswith(b"HTTP/1.1 429 ")
    assert b"/problems/rate-limited" in second
    assert b"\r\nretry-after: " in second.lower()


async def test_limits_of_two_gateways_are_the_same(make_gateway: MakeGateway, recorder: Pod, redis_url: str) -> None:
    path = new_path()
    routes = {path: {"upstream": recorder.url, "limits": [per("address", 3)]}}
    async with (
        make_gateway(routes, state_url=redis_url) as one,
        make_gateway(routes, state_url=redis_url) as other,
    ):
        answers = [await gateway.client.get(path) for gateway in (one, other, one, other)]

    assert status_of(answers) == [200, 200, 200, 429]


async def test_a_limit_of_a_part_counts_there_only(make_gateway: MakeGateway, recorder: Pod, redis_url: str) -> None:
    path = new_path()
    limits = [per("address", 4), per("address", 1, path=f"{path}/token")]
    async with make_gateway({path: {"upstream": recorder.url, "limits": limits}}, state_url=redis_url) as gateway:
        asked = ["/token", "/tok%65n", "/token/x", "/tokens", "", "/authorize"]
        answers = [await gateway.client.get(f"{path}{part}") for part in asked]

    assert status_of(answers) == [200, 429, 429, 200, 200, 200]


async def test_the_services_own_word_gives_way_to_the_gateways(make_gateway: MakeGateway, redis_url: str) -> None:
    answer = (
        b'HTTP/1.1 200 OK\r\nRateLimit: "theirs";r=9\r\nRateLimit-Policy: "theirs";q=9\r\nContent-Length: 0\r\n\r\n'
    )
    async with pod(answering(answer)) as standing:
        path = new_path()
        routes = {path: {"upstream": standing.url, "limits": [per("route", 2)]}, f"{path}/free": standing.url}
        async with make_gateway(routes, state_url=redis_url) as gateway:
            limited, free = await gateway.client.get(path), await gateway.client.get(f"{path}/free")

    assert limited.headers.get_list("ratelimit-policy") == ['"route-86400s";q=2;w=86400']
    assert free.headers.get_list("ratelimit") == ['"theirs";r=9']


async def test_keys_name_nobody_and_have_a_lifetime(
    make_gateway: MakeGateway, recorder: Pod, redis_url: str, redis: Redis, issuer: Issuer
) -> None:
    path = new_path()
    route = {"upstream": recorder.url, "public": False, "limits": [per("principal", 9), per("address", 9)]}
    async with make_gateway({path: route}, state_url=redis_url) as gateway:
        await gateway.client.get(path, headers=issuer.headers(sub="someone", client_id="something"))

    keys = [key async for key in redis.scan_iter(f"gateway:{{limit}}:*{path}*")]
    assert len(keys) == 2
    for key in keys:
        assert not [word for word in (b"someone", b"something", b"127.0.0.1") if word in key]
        assert 0 < await redis.pttl(key) <= DAY * 1000


@pytest.fixture
async def three_policies(make_gateway: MakeGateway, recorder: Pod, own_redis: Server) -> AsyncIterator[Gateway]:
    """A gateway with a route for each policy, all of which let two through each day."""
    routes = {
        f"/v1/{policy}": {"upstream": recorder.url, "limits": [per("address", 2)], "without_state": policy}
        for policy in ("open", "closed", "local")
    }
    async with make_gateway(routes, state_url=own_redis.url) as gateway:
        yield gateway


async def asked(gateway: Gateway, policy: str, times: int = 4) -> list[httpx2.Response]:
    return [await gateway.client.get(f"/v1/{policy}") for _ in range(times)]


async def assert_policies(gateway: Gateway) -> None:
    opened, closed, local = [await asked(gateway, policy) for policy in ("open", "closed", "local")]
    assert status_of(opened) == [200] * 4
    assert "ratelimit" not in opened[0].headers
    assert status_of(closed) == [503] * 4
    assert closed[0].json()["type"] == "/problems/limits-away"
    assert 1 <= int(closed[0].headers["retry-after"]) <= 3
    assert status_of(local) == [200, 200, 429, 429]
    assert local[0].headers["ratelimit"].startswith('"address-86400s";r=1')
    for policy in ("open", "closed", "local"):
        assert gateway.sample("gateway_limits_decided_total", by=policy) >= 4


async def test_with_state_gone_each_route_answers_as_it_says(three_policies: Gateway, own_redis: Server) -> None:
    with own_redis.stopped():
        await assert_policies(three_policies)


@pytest.mark.usefixtures("hurried")
async def test_with_state_silent_each_route_answers_as_it_says(three_policies: Gateway, own_redis: Server) -> None:
    with own_redis.paused():
        await assert_policies(three_policies)


async def test_state_that_comes_back_decides_again_and_has_kept_what_was_spent(
    three_policies: Gateway, own_redis: Server
) -> None:
    before = await asked(three_policies, "closed", 2)
    with own_redis.stopped():
        away = await asked(three_policies, "closed", 1)
    async with asyncio.timeout(60):
        while (back := await asked(three_policies, "closed", 1))[0].status_code == 503:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.05)

    assert status_of(before + away + back) == [200, 200, 503, 429]


@pytest.fixture
def long_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten seconds between two lines last longer than a busy machine needs for fifty requests."""
    monkeypatch.setattr(state_limits, "SAID_EVERY_SECONDS", 1000.0)


@pytest.mark.usefixtures("long_silence")
async def test_one_line_in_ten_seconds_tells_that_state_is_away(
    three_policies: Gateway, own_redis: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    with own_redis.stopped():
        await asyncio.gather(*(asked(three_policies, "open", 10) for _ in range(5)))
        said = capsys.readouterr().out

    assert said.count("limits_decided_without_state") == 1


async def test_without_a_state_each_gateway_lets_an_even_share_through(
    make_gateway: MakeGateway, recorder: Pod
) -> None:
    path = new_path()
    route = {"upstream": recorder.url, "limits": [per("address", 6)]}
    async with make_gateway({path: route}, limit_replicas=3) as gateway:
        answers = [await gateway.client.get(path) for _ in range(3)]

    # two at once, and the next after the time in which three gateways let through three
    assert status_of(answers) == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == f'"address-86400s";q=2;w={DAY}'
    assert DAY // 2 - 60 < int(answers[2].headers["retry-after"]) <= DAY // 2


async def test_other_limits_than_those_of_the_routes_are_not_asked(
    make_gateway: MakeGateway, recorder: Pod, own_redis: Server
) -> None:
    async with make_gateway({"/v1/free": recorder.url}, state_url=own_redis.url) as gateway:
        answer = await gateway.client.get("/v1/free")
        missing = await gateway.client.get("/nowhere")

        assert (answer.status_code, missing.status_code) == (200, 404)
        assert "ratelimit-policy" not in answer.headers
        assert sum(gateway.sample("gateway_limits_decided_total", by=by) for by in ("state", "local")) == 0


def test_the_headers_name_the_limit_that_is_nearest_to_its_end() -> None:
    quotas = [
        Quota(per="principal", count=100, seconds=1, burst=200),
        Quota(per="address", count=60, seconds=60, burst=30, path="/login"),
    ]
    outcomes = [
        Outcome(Limit("a", 100, 1, 200), allowed=True, remaining=199, retry_after_us=0, reset_us=10_000),
        Outcome(Limit("b", 60, 60, 30), allowed=True, remaining=1, retry_after_us=0, reset_us=29_000_001),
    ]

    assert dict(describe(zip(quotas, outcomes, strict=True))) == {
        b"ratelimit-policy": b'"principal-1s";q=200;w=2, "address-60s/login";q=30;w=30',
        b"ratelimit": b'"address-60s/login";r=1;t=30',
    }


def test_routes_that_say_nothing_have_limits_and_sign_in_and_token_paths_tighter_ones() -> None:
    paths = ("/v1/items", "/oauth2", "/oauth2/token", "/login", "/.well-known")
    table = parse_routes(dict.fromkeys(paths, "http://a"))
    named = {
        route.path: [(quota.per, quota.count, quota.seconds, quota.path) for quota in route.quotas] for route in table
    }

    anybody = ("address", 50, 1, None)
    assert {quota.title for route in table for quota in route.quotas if quota.path == "/login"} == {
        "address-60s-post/login"
    }
    assert named == {
        "/v1/items": [("principal", 100, 1, None), ("address", 500, 1, None)],
        "/oauth2": [anybody, ("address", 120, 60, "/oauth2/token")],
        "/oauth2/token": [
            ("principal", 100, 1, None),
            ("address", 500, 1, None),
            ("address", 120, 60, "/oauth2/token"),
        ],
        "/login": [anybody, ("address", 60, 60, "/login")],
        "/.well-known": [anybody],
    }

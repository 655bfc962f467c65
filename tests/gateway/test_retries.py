"""What is asked twice, what is not, and that no pod sees a body that another may have acted on."""

import asyncio
from typing import Any

import pytest

from services.gateway import pods
from tests.gateway.conftest import ANSWER, MakeGateway, Script, Writer, answering, pod

HOSTS = ["127.0.0.2", "127.0.0.3"]
COUNT = 30  # that all of them come to one of two pods happens once in a thousand million times


async def both(_: str, __: int) -> list[str]:
    return HOSTS


def dying(seen: list[bytes]) -> Script:
    """Reads a request with its body, notes it, and resets."""

    async def script(reader: Any, writer: Writer) -> None:
        head = await reader.head()
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
        seen.append(head.split()[0] + b" " + await reader.readexactly(length))
        writer.transport.abort()

    return script


def noting(seen: list[bytes]) -> Script:
    async def script(reader: Any, writer: Writer) -> None:
        while True:
            head = await reader.head()
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
            seen.append(head.split()[0] + b" " + await reader.readexactly(length))
            writer.write(ANSWER)

    return script


async def outcomes(make_gateway: MakeGateway, method: str, body: bytes) -> tuple[list[int], int, int]:
    """The statuses of requests to one good and one dying pod, and how often each of the two was asked."""
    dead: list[bytes] = []
    good: list[bytes] = []
    async with (
        pod(dying(dead), HOSTS[0]) as first,
        pod(noting(good), HOSTS[1], first.port),
        make_gateway({"/v1/a": f"http://pods.test:{first.port}"}, resolve=both) as gateway,
    ):
        statuses = [(await gateway.client.request(method, "/v1/a", content=body)).status_code for _ in range(COUNT)]
    assert set(dead) | set(good) <= {method.encode() + b" " + body}
    return statuses, len(dead), len(good)


async def test_an_idempotent_request_to_a_dying_pod_is_answered_by_another(make_gateway: MakeGateway) -> None:
    for method, body in (("GET", b""), ("PUT", b"x" * 1000), ("DELETE", b"")):
        statuses, dead, good = await outcomes(make_gateway, method, body)
        assert statuses == [200] * COUNT
        assert 1 <= dead <= 5  # then it is ejected, and tried now and then
        assert good == COUNT


async def test_a_request_that_is_not_is_sent_once(make_gateway: MakeGateway) -> None:
    for method, body in (("POST", b""), ("POST", b"x"), ("PATCH", b"x")):
        statuses, dead, good = await outcomes(make_gateway, method, body)
        assert statuses.count(502) == dead >= 1
        assert dead + good == COUNT


async def test_a_body_too_long_to_keep_is_sent_once(make_gateway: MakeGateway) -> None:
    statuses, dead, good = await outcomes(make_gateway, "PUT", b"x" * 200_000)
    assert statuses.count(502) == dead >= 1
    assert dead + good == COUNT


async def test_when_every_pod_dies_retries_stay_a_fifth_of_the_requests(make_gateway: MakeGateway) -> None:
    dead: list[bytes] = []
    async with (
        pod(dying(dead), HOSTS[0]) as first,
        pod(dying(dead), HOSTS[1], first.port),
        make_gateway({"/v1/a": f"http://pods.test:{first.port}"}, resolve=both) as gateway,
    ):
        statuses: list[int] = []
        for _ in range(10):
            answers = await asyncio.gather(*(gateway.client.get("/v1/a") for _ in range(30)))
            statuses += [answer.status_code for answer in answers]
        retries = gateway.sample("gateway_upstream_retries_total", upstream=f"pods.test:{first.port}", result="sent")
        refused = gateway.sample("gateway_upstream_retries_total", upstream=f"pods.test:{first.port}", result="refused")

    assert set(statuses) <= {502, 503}  # 503 where it could not even connect
    assert len(dead) <= 300 + retries
    assert 55 <= retries <= 60
    assert retries + refused == 300


async def test_all_routes_share_what_is_known_of_a_pod(
    make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "FIRST_EJECTION_SECONDS", 1000.0)  # the pod is not tried again in between
    monkeypatch.setattr(pods, "LONGEST_EJECTION_SECONDS", 1000.0)
    async with pod(answering(), HOSTS[1]) as standing:
        url = f"http://pods.test:{standing.port}"
        async with make_gateway({"/v1/a": url, "/v1/b": url}, resolve=both) as gateway:
            for _ in range(20):
                assert (await gateway.client.get("/v1/a")).status_code == 200
            ejected = gateway.sample("gateway_upstream_ejections_total", upstream=f"pods.test:{standing.port}")
            failed = gateway.sample(
                "gateway_upstream_failures_total", upstream=f"pods.test:{standing.port}", reason="connect"
            )
            for _ in range(20):
                assert (await gateway.client.get("/v1/b")).status_code == 200
            after = gateway.sample(
                "gateway_upstream_failures_total", upstream=f"pods.test:{standing.port}", reason="connect"
            )

    assert (ejected, failed) == (1, 1)
    assert after == failed

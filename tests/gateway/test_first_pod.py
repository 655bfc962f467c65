"""A service that has no pods: the request that comes with its first one is answered, and the name server is spared."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from services.gateway import upstreams
from services.gateway.resolver import NobodyError
from tests.gateway.conftest import MakeGateway, Pod
from tests.support import waits
from tests.support.clock import Clock


@dataclass
class Names:
    """A name server that knows nobody until it is told, and answers when it is let."""

    there: bool = False
    asked: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def resolve(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        await self.open.wait()
        if not self.there:
            raise NobodyError
        return ["127.0.0.1"]


@pytest.fixture(autouse=True)
def looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's own look, every two seconds, comes at the start and never again."""

    async def once(_seconds: float, work: Callable[[], Awaitable[object]], *, failed: str) -> None:  # noqa: ARG001 - as `every` has it
        await work()
        await asyncio.Event().wait()

    monkeypatch.setattr(upstreams, "every", once)


async def test_the_request_that_comes_with_the_first_pod_is_answered(
    make_gateway: MakeGateway, recorder: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "LOOK_AGAIN_SECONDS", 0)
    monkeypatch.setattr(upstreams, "LOOK_PATIENCE_SECONDS", 30)
    names = Names()
    async with make_gateway({"/v1/items": recorder.url}, resolve=names.resolve) as gateway:
        before = await gateway.client.get("/v1/items")
        names.there = True
        after = await gateway.client.get("/v1/items")

    assert (before.status_code, after.status_code) == (503, 200)


async def test_all_who_ask_at_once_wait_for_one_look(
    make_gateway: MakeGateway, recorder: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "LOOK_AGAIN_SECONDS", 0)
    monkeypatch.setattr(upstreams, "LOOK_PATIENCE_SECONDS", 30)
    names = Names()
    async with make_gateway({"/v1/items": recorder.url}, resolve=names.resolve) as gateway:
        asked = names.asked
        names.there = True
        names.open.clear()
        asking = [asyncio.create_task(gateway.client.get("/v1/items")) for _ in range(20)]
        await waits.until(lambda: gateway.sample("http_requests_in_flight", kind="request") == 20, "all of them")
        names.open.set()
        answers = await asyncio.gather(*asking)

    assert [answer.status_code for answer in answers] == [200] * 20
    assert names.asked == asked + 1


async def test_a_request_that_comes_while_the_gateway_looks_waits_for_that(
    make_gateway: MakeGateway, recorder: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "LOOK_AGAIN_SECONDS", 0)
    monkeypatch.setattr(upstreams, "LOOK_PATIENCE_SECONDS", 30)
    names = Names(there=True)
    names.open.clear()
    async with make_gateway({"/v1/items": recorder.url}, resolve=names.resolve, wait_ready=False) as gateway:
        asking = asyncio.create_task(gateway.client.get("/v1/items"))
        await waits.until(lambda: gateway.sample("http_requests_in_flight", kind="request") == 1, "the request")
        names.open.set()
        answer = await asking

    assert (answer.status_code, names.asked) == (200, 1)


async def test_where_there_are_pods_no_request_waits_for_a_name_server(
    make_gateway: MakeGateway, recorder: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "LOOK_AGAIN_SECONDS", 0)
    names = Names(there=True)
    async with make_gateway({"/v1/items": recorder.url}, resolve=names.resolve) as gateway:
        asked = names.asked
        answers = [(await gateway.client.get("/v1/items")).status_code for _ in range(3)]

    assert (answers, names.asked) == ([200] * 3, asked)


async def test_a_service_that_stays_without_pods_is_looked_for_a_few_times_a_second(
    make_gateway: MakeGateway, recorder: Pod
) -> None:
    names = Names()
    async with make_gateway({"/v1/items": recorder.url}, resolve=names.resolve) as gateway:
        asked, started = names.asked, time.monotonic()
        answers = [(await gateway.client.get("/v1/items")).status_code for _ in range(100)]
        took = time.monotonic() - started

    assert answers == [503] * 100
    assert names.asked - asked <= 1 + took / upstreams.LOOK_AGAIN_SECONDS


async def test_a_slow_name_server_costs_a_request_no_more_than_its_patience_and_is_spared_too(
    make_gateway: MakeGateway, recorder: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(upstreams, "time", SimpleNamespace(monotonic=clock, perf_counter=time.perf_counter))
    monkeypatch.setattr(upstreams, "LOOK_PATIENCE_SECONDS", 0.1)
    names = Names()
    async with make_gateway({"/v1/items": recorder.url}, resolve=names.resolve) as gateway:
        asked = names.asked
        clock.now += upstreams.LOOK_AGAIN_SECONDS
        names.open.clear()
        async with asyncio.timeout(waits.SECONDS):
            answers = [await gateway.client.get("/v1/items") for _ in range(3)]
        names.open.set()

    assert [answer.status_code for answer in answers] == [503] * 3
    assert "Retry-After" in answers[0].headers
    assert names.asked == asked + 1

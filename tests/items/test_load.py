"""Many at once: load is not taken for an outage, and nobody holds what he does not use."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from services.common.redis import MAX_CONNECTIONS, open_redis
from services.items import breaker, main
from services.items.cache import READERS, WRITERS, CacheMetrics, ItemCache, Lifetimes, key
from tests.items.conftest import Caller, MakeSettings, caller_of
from tests.items.waits import until
from tests.support.clients import app_client
from tests.support.tokens import Issuer

CROWD = 300
PATIENCE_SECONDS = 60


@dataclass
class Replica:
    app: FastAPI
    alice: Caller

    def metric(self, name: str, **labels: str) -> float:
        return float(self.app.state.registry.get_sample_value(name, labels) or 0)

    async def idle(self) -> None:
        """Wait until no connection to Postgres is in use; the readiness check takes one now and then."""

        async def busy() -> float:
            return self.metric("database_pool_connections_busy")

        await until(busy, lambda count: count == 0)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is slow to answer must not look like a crowd: only what crowds do is left to see."""
    monkeypatch.setattr(breaker, "DEADLINE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(breaker, "QUEUE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(main, "open_redis", partial(open_redis, timeout_seconds=PATIENCE_SECONDS))


@pytest.fixture
async def replica(make_settings: MakeSettings, issuer: Issuer) -> AsyncGenerator[Replica]:
    app = main.create_app(make_settings())
    async with app_client(app, limits=httpx2.Limits(max_connections=CROWD)) as client:
        yield Replica(app, caller_of(client, issuer))


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    async with open_redis(SecretStr(redis_url), timeout_seconds=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture
def cache(redis: Redis) -> ItemCache:
    return ItemCache(redis, CacheMetrics(CollectorRegistry()), Lifetimes(soft=30, hard=60, hold=10))


def counted(cache: ItemCache, result: str) -> float:
    return float(cache._metrics.requests.labels(result)._value.get())


async def test_a_crowd_of_reads_of_cached_items_is_served_from_the_cache(replica: Replica) -> None:
    items = [(await replica.alice.create())["id"] for _ in range(10)]
    for item in items:
        await replica.alice.get(item)

    reads = [replica.alice.ask("GET", f"/{items[n % 10]}", timeout=PATIENCE_SECONDS) for n in range(CROWD)]
    answers = await asyncio.gather(*reads)

    assert {answer.status_code for answer in answers} == {200}
    assert replica.metric("items_cache_requests_total", result="skipped") == 0
    assert replica.metric("items_cache_requests_total", result="hit") == CROWD


def test_those_who_may_ask_at_once_never_want_more_connections_than_there_are() -> None:
    assert READERS + WRITERS <= MAX_CONNECTIONS


async def test_more_questions_than_connections_wait_for_their_turn(cache: ItemCache) -> None:
    item_id = uuid.uuid4()

    await asyncio.gather(*(cache.find(item_id) for _ in range(CROWD)))

    assert (counted(cache, "miss"), counted(cache, "skipped")) == (CROWD, 0)


async def test_a_crowd_of_writers_loses_no_write(cache: ItemCache) -> None:
    async def write() -> None:
        async with cache.writing(uuid.uuid4()):
            pass

    await asyncio.gather(*(write() for _ in range(CROWD)))

    assert cache._metrics.invalidations_failed._value.get() == 0


async def test_who_does_not_get_a_turn_begins_no_pause_and_does_not_hold_up_writers(
    cache: ItemCache, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "QUEUE_SECONDS", 0.05)
    item_id = uuid.uuid4()
    turns = cache._readers._turns
    while not turns.locked():
        await turns.acquire()

    await cache.find(item_id)
    async with cache.writing(item_id):
        assert await redis.exists(key(item_id)) == 1

    assert counted(cache, "skipped") == 1
    assert await redis.exists(key(item_id)) == 0
    assert not cache._breaker.pausing


@pytest.mark.parametrize("step", ["fill", "give_back"])
async def test_a_reader_holds_no_database_connection_while_it_waits_for_redis(
    replica: Replica, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, opened = asyncio.Event(), asyncio.Event()
    original = getattr(ItemCache, step)

    async def paused(*args: Any) -> None:
        reached.set()
        await opened.wait()
        await original(*args)

    monkeypatch.setattr(ItemCache, step, paused)
    item_id = (await replica.alice.create())["id"] if step == "fill" else str(uuid.uuid4())

    read = asyncio.create_task(replica.alice.get(item_id))
    try:
        async with asyncio.timeout(30):
            await reached.wait()
        await replica.idle()
    finally:
        opened.set()
        status = (await read).status_code

    assert status == (200 if step == "fill" else 404)

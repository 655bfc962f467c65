"""The cache by itself, on a real Redis: leases, holds, lifetimes, and a Redis that goes away."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from services.common.redis import open_redis
from services.items import breaker as breaker_module
from services.items import cache as cache_module
from services.items.cache import CacheMetrics, Found, ItemCache, Lifetimes, key
from services.items.schemas import ItemRead
from tests.items.waits import until
from tests.support.servers import redis_server

LIFETIMES = Lifetimes(soft=30, hard=60, hold=10)
NOTHING = Found()
own_redis = pytest.mark.skipif("TEST_REDIS_URL" in os.environ, reason="stops a server of its own")


def make_item(version: int = 1) -> ItemRead:
    now = datetime.now(UTC)
    return ItemRead(
        id=uuid.uuid4(),
        owner="alice",
        name="lamp",
        description="",
        price_minor=1,
        currency="EUR",
        tags=["a"],
        version=version,
        created_at=now,
        updated_at=now,
    )


def make_cache(redis: Redis, lifetimes: Lifetimes = LIFETIMES) -> ItemCache:
    return ItemCache(redis, CacheMetrics(CollectorRegistry()), lifetimes)


def counted(cache: ItemCache, result: str) -> float:
    return float(cache._metrics.requests.labels(result)._value.get())


def failed_writes(cache: ItemCache) -> float:
    return float(cache._metrics.invalidations_failed._value.get())


@pytest.fixture(autouse=True)
def _leases_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease does not end because the machine is busy."""
    monkeypatch.setattr(cache_module, "LEASE_SECONDS", 60.0)


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def cache(redis: Redis) -> ItemCache:
    return make_cache(redis)


async def filled(cache: ItemCache, item: ItemRead) -> None:
    found = await cache.find(item.id)
    assert found.lease is not None
    await cache.fill(found, item)


async def test_what_was_filled_is_found_by_any_replica(cache: ItemCache, redis: Redis) -> None:
    item = make_item()
    await filled(cache, item)

    assert await make_cache(redis).find(item.id) == Found(item)
    assert counted(cache, "miss") == 1


async def test_of_many_who_miss_one_gets_the_lease(cache: ItemCache) -> None:
    item_id = uuid.uuid4()

    found = await asyncio.gather(*(cache.find(item_id) for _ in range(20)))

    assert sum(one.lease is not None for one in found) == 1
    assert all(one.item is None for one in found)


async def test_who_has_no_lease_fills_nothing(cache: ItemCache) -> None:
    item = make_item()
    await cache.find(item.id)

    await cache.fill(await cache.find(item.id), item)
    await cache.fill(Found(lease="made up"), item)

    assert await cache.find(item.id) == NOTHING


async def test_a_write_voids_the_lease_given_before_it(cache: ItemCache) -> None:
    old = make_item()
    reader = await cache.find(old.id)

    async with cache.writing(old.id):
        pass
    await cache.fill(reader, old)

    assert (await cache.find(old.id)).item is None


async def test_a_lease_given_during_a_write_does_not_exist(cache: ItemCache) -> None:
    item = make_item()
    await filled(cache, item)

    async with cache.writing(item.id):
        assert await cache.find(item.id) == NOTHING

    assert (await cache.find(item.id)).lease is not None


async def test_of_two_writers_the_first_to_end_leaves_the_hold_of_the_other(cache: ItemCache) -> None:
    item_id = uuid.uuid4()

    async with cache.writing(item_id):
        inner = cache.writing(item_id)
        await inner.__aenter__()
    assert await cache.find(item_id) == NOTHING

    await inner.__aexit__(None, None, None)
    assert (await cache.find(item_id)).lease is not None


async def test_a_write_with_an_unknown_outcome_leaves_its_hold_to_end_by_itself(redis: Redis) -> None:
    cache = make_cache(redis, Lifetimes(soft=30, hard=60, hold=4))
    item = make_item()
    await filled(cache, item)

    with pytest.raises(TimeoutError):
        async with cache.writing(item.id):
            raise TimeoutError

    assert await cache.find(item.id) == NOTHING
    assert (await until(lambda: cache.find(item.id), lambda found: found.lease is not None)).item is None


async def test_a_lease_given_back_goes_to_the_next(cache: ItemCache) -> None:
    item_id = uuid.uuid4()
    first = await cache.find(item_id)
    assert (await cache.find(item_id)).lease is None

    await cache.give_back(item_id, first)

    assert (await cache.find(item_id)).lease is not None


async def test_a_lease_nobody_used_ends(cache: ItemCache, redis: Redis) -> None:
    item_id = uuid.uuid4()
    await cache.find(item_id)

    lifetime = await redis.pttl(key(item_id))

    assert 0 < lifetime <= cache_module.LEASE_SECONDS * 1000


async def test_after_the_soft_lifetime_one_reader_refreshes_and_the_others_are_served(redis: Redis) -> None:
    cache = make_cache(redis, Lifetimes(soft=0.001, hard=60, hold=10))
    item = make_item()
    await filled(cache, item)
    await asyncio.sleep(0.01)

    first, second = await cache.find(item.id), await cache.find(item.id)

    assert (first.item, first.lease is None) == (item, False)
    assert second == Found(item)
    assert counted(cache, "stale") == 2


async def test_after_the_hard_lifetime_the_entry_is_gone(redis: Redis) -> None:
    cache = make_cache(redis, Lifetimes(soft=0.001, hard=0.002, hold=10))
    item = make_item()
    await filled(cache, item)
    await asyncio.sleep(0.01)

    assert (await cache.find(item.id)).item is None


async def test_the_hard_lifetime_counts_from_the_lease_and_is_shortened_by_chance(
    cache: ItemCache, redis: Redis
) -> None:
    lifetimes = set()
    for _ in range(20):
        item = make_item()
        found = await cache.find(item.id)
        await asyncio.sleep(0.005)
        await cache.fill(found, item)
        lifetimes.add(await redis.pttl(key(item.id)))

    assert max(lifetimes) - min(lifetimes) > 3000  # twenty of twelve seconds' width
    assert min(lifetimes) >= 60_000 * (1 - cache_module.JITTER) - 5000
    assert max(lifetimes) <= 60_000 - 5


async def test_entries_of_another_format_are_misses_and_still_forgotten(
    cache: ItemCache, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = make_item()
    await filled(cache, item)

    with monkeypatch.context() as other_version:
        other_version.setattr(cache_module, "FORMAT", "2")
        found = await cache.find(item.id)
        assert (found.item, found.lease is None) == (None, False)
        await cache.fill(found, item)
    assert (await cache.find(item.id)).item is None
    async with cache.writing(item.id):
        pass

    assert await redis.exists(key(item.id)) == 0


@pytest.mark.parametrize("junk", [b"", b"\x80\x04N.", b"null", b"{}", b'{"id": 1}'])
async def test_a_value_that_is_no_item_is_a_miss(cache: ItemCache, redis: Redis, junk: bytes) -> None:
    item = make_item()
    await filled(cache, item)
    await redis.hset(key(item.id), "value", junk)

    assert (await cache.find(item.id)).item is None


async def test_a_key_of_another_type_is_skipped_and_does_not_stop_a_write(cache: ItemCache, redis: Redis) -> None:
    item = make_item()
    await redis.set(key(item.id), "text")

    assert await cache.find(item.id) == NOTHING
    async with cache.writing(item.id):
        pass
    assert (await cache.find(item.id)).lease is not None


@own_redis
async def test_the_scripts_survive_a_restart_of_redis() -> None:
    with redis_server() as server:
        async with open_redis(SecretStr(server.url)) as redis:
            cache = make_cache(redis)
            await filled(cache, make_item())
            with server.stopped():
                pass

            await filled(cache, make_item())


@own_redis
async def test_with_redis_away_reads_are_skipped_and_writes_counted() -> None:
    with redis_server() as server:
        async with open_redis(SecretStr(server.url)) as redis:
            cache = make_cache(redis)
            item = make_item()
            await filled(cache, item)
            with server.stopped():
                for _ in range(5):
                    assert await cache.find(item.id) == NOTHING
                async with cache.writing(item.id):
                    pass

    assert counted(cache, "skipped") == 5
    assert failed_writes(cache) == 1


@own_redis
async def test_a_silent_redis_is_asked_by_one_reader_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "PAUSE_SECONDS", 60)
    with redis_server() as server:
        async with open_redis(SecretStr(server.url), timeout_seconds=0.05) as redis:
            cache = make_cache(redis)
            asked = 0
            run = cache._readers._run

            async def counting(*args: Any) -> Any:
                nonlocal asked
                asked += 1
                return await run(*args)

            monkeypatch.setattr(cache._readers, "_run", counting)
            with server.paused():
                for _ in range(10):
                    assert await cache.find(uuid.uuid4()) == NOTHING

    assert asked == 1


async def test_a_writer_forgets_also_while_readers_pause(redis: Redis) -> None:
    cache, item = make_cache(redis), make_item()
    await filled(cache, item)
    cache._breaker.failed()

    async with cache.writing(item.id):
        pass

    assert (await cache.find(item.id)).item is None
    assert failed_writes(cache) == 0


async def test_a_writer_holds_also_while_readers_pause(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "PAUSED_HOLD_SECONDS", 20)
    cache, item = make_cache(redis), make_item()
    await filled(cache, item)
    cache._breaker.failed()

    async with cache.writing(item.id):
        assert await make_cache(redis).find(item.id) == NOTHING


@own_redis
async def test_a_hold_is_given_up_early_during_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "PAUSE_SECONDS", 60)
    monkeypatch.setattr(breaker_module, "DEADLINE_SECONDS", 60)
    with redis_server() as server:
        async with open_redis(SecretStr(server.url), timeout_seconds=60) as redis:
            cache = make_cache(redis)
            await filled(cache, make_item())
            cache._breaker.failed()
            with server.paused():
                async with asyncio.timeout(30):
                    assert await cache._put_hold(uuid.uuid4(), "writer") is None


@own_redis
@pytest.mark.parametrize("away_from", ["the hold", "the removal", "both"])
async def test_a_write_counts_as_lost_when_neither_hold_nor_removal_reached_redis(away_from: str) -> None:
    with redis_server() as server:
        async with open_redis(SecretStr(server.url)) as redis:
            cache = make_cache(redis)
            server.stop()
            if away_from == "the removal":
                server.start()
            async with cache.writing(uuid.uuid4()):
                if away_from == "the hold":
                    server.start()
                if away_from == "the removal":
                    server.stop()

    assert failed_writes(cache) == (away_from == "both")


@own_redis
async def test_a_write_without_a_hold_and_with_an_unknown_outcome_is_counted() -> None:
    with redis_server() as server:
        async with open_redis(SecretStr(server.url)) as redis:
            cache = make_cache(redis)
            with server.stopped(), pytest.raises(TimeoutError):
                async with cache.writing(uuid.uuid4()):
                    raise TimeoutError

    assert failed_writes(cache) == 1

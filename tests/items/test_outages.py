"""Postgres, Redis or both away: stated answers, no 5xx but 503, and back by itself."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from operator import is_not
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx2
import pytest
from fastapi import FastAPI

from services.common.migrations import migrate
from services.common.settings import MigrationSettings
from services.items.main import create_app
from services.items.settings import ItemsSettings
from tests.items.conftest import GOOD, Caller, MakeSettings, caller_of
from tests.items.test_api import assert_problem
from tests.items.waits import until
from tests.support.clients import app_client
from tests.support.servers import Server, execute, new_database, postgres_server, redis_server
from tests.support.tokens import Issuer

pytestmark = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="stops servers of its own")


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Server]:
    """A Postgres that these tests may stop."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Server]:
    """A Redis that these tests may stop."""
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def database_url(own_postgres: Server) -> Iterator[str]:
    with new_database(own_postgres.url, "items") as url:
        yield url


@dataclass
class Replica:
    app: FastAPI
    alice: Caller


@pytest.fixture
async def replica(make_settings: MakeSettings, own_redis: Server, issuer: Issuer) -> AsyncGenerator[Replica]:
    settings = make_settings(
        cache_url=own_redis.url,
        database_pool_size=2,
        database_pool_timeout_seconds=0.2,
        database_statement_timeout_seconds=30,  # what waits for a lock here waits for the test, not for the clock
    )
    app = create_app(settings)
    async with app_client(app) as client:
        yield Replica(app, caller_of(client, issuer))


@asynccontextmanager
async def locked_row(url: str, item_id: str) -> AsyncGenerator[None]:
    """Nobody changes the item while the block lasts."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await connection.execute("BEGIN")
        await connection.execute("SELECT 1 FROM items WHERE id = $1 FOR UPDATE", uuid.UUID(item_id))
        yield
    finally:
        await connection.close()


async def waiting_for_locks(url: str) -> int:
    """How many statements wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return int((await asyncio.to_thread(execute, url, waiting))[0][0][0])


async def every_request(caller: Caller, item_id: str) -> list[httpx2.Response]:
    return [
        await caller.ask("POST", json=GOOD),
        await caller.list(),
        await caller.get(item_id),
        await caller.put(item_id),
        await caller.patch(item_id, name="x"),
        await caller.delete(item_id),
    ]


def metric(app: FastAPI, name: str, **labels: str) -> float:
    return float(app.state.registry.get_sample_value(name, labels) or 0)


async def cached(replica: Replica) -> dict[str, Any]:
    """A new item that was seen to come from the cache."""
    item = await replica.alice.create()

    async def hit() -> bool:
        before = metric(replica.app, "items_cache_requests_total", result="hit")
        await replica.alice.get(item["id"])
        return metric(replica.app, "items_cache_requests_total", result="hit") > before

    await until(hit)
    return item


def is_ok(answer: httpx2.Response) -> bool:
    return answer.status_code == 200


async def test_without_postgres_requests_are_503_and_then_work_again(replica: Replica, own_postgres: Server) -> None:
    item = await replica.alice.create()

    with own_postgres.stopped():
        for answer in await every_request(replica.alice, item["id"]):
            assert_problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1

    answer = await until(lambda: replica.alice.get(item["id"]), lambda answer: answer.status_code == 200)
    assert answer.json() == item


async def test_cached_items_are_read_without_postgres(replica: Replica, own_postgres: Server) -> None:
    item = await cached(replica)

    with own_postgres.stopped():
        answer = await until(lambda: replica.alice.get(item["id"]), is_ok)

    assert answer.json() == item


async def test_a_cached_read_takes_no_connection_of_a_full_pool(replica: Replica, database_url: str) -> None:
    item, other = await cached(replica), await replica.alice.create()

    async with locked_row(database_url, other["id"]):
        waiting = [
            asyncio.create_task(replica.alice.ask("PATCH", f"/{other['id']}", json={"name": "x"}, timeout=60))
            for _ in range(2)
        ]
        await until(lambda: waiting_for_locks(database_url), lambda count: count == 2)
        await until(lambda: replica.alice.get(str(uuid.uuid4())), lambda answer: answer.status_code == 503)
        answer = assert_problem(await replica.alice.list(), 503)
        read = await until(lambda: replica.alice.get(item["id"]), is_ok)
    assert "busy" in answer["detail"]
    assert read.json() == item

    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]
    await until(replica.alice.list, is_ok)


async def test_a_statement_that_takes_too_long_is_503(
    replica: Replica, make_settings: MakeSettings, issuer: Issuer, database_url: str
) -> None:
    item = await replica.alice.create()
    async with app_client(create_app(make_settings(database_statement_timeout_seconds=0.2))) as client:
        alice = caller_of(client, issuer, replica.alice.subject)

        async with locked_row(database_url, item["id"]):
            answer = await alice.patch(item["id"], name="x")

        assert_problem(answer, 503)
        # again and again: a fifth of a second is little on a busy machine
        await until(lambda: alice.patch(item["id"], name="y"), is_ok)


async def test_without_redis_everything_works_and_is_counted(replica: Replica, own_redis: Server) -> None:
    item = await cached(replica)
    skipped = metric(replica.app, "items_cache_requests_total", result="skipped")

    with own_redis.stopped():
        answers = await every_request(replica.alice, item["id"])

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 204]
    assert metric(replica.app, "items_cache_requests_total", result="skipped") == skipped + 1
    assert metric(replica.app, "items_cache_invalidations_failed_total") == 3


async def test_the_cache_is_used_again_once_redis_is_back(replica: Replica, own_redis: Server) -> None:
    item = await replica.alice.create()
    with own_redis.stopped():
        assert (await replica.alice.get(item["id"])).status_code == 200

    async def hits() -> float:
        await replica.alice.get(item["id"])
        return metric(replica.app, "items_cache_requests_total", result="hit")

    await until(hits)


@pytest.mark.usefixtures("hurried")
async def test_a_silent_redis_does_not_stop_reads_or_writes(replica: Replica, own_redis: Server) -> None:
    item = await replica.alice.create()

    with own_redis.paused():
        answers = await every_request(replica.alice, item["id"])

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 204]


async def test_an_entry_whose_writer_did_not_reach_redis_is_stale_for_its_hard_lifetime_at_most(
    make_settings: MakeSettings, own_redis: Server, issuer: Issuer
) -> None:
    lifetimes = {"cache_soft_lifetime_seconds": 0.5, "cache_hard_lifetime_seconds": 0.5}
    reading = create_app(make_settings(cache_url=own_redis.url, **lifetimes))
    cut_off = create_app(make_settings(cache_url="redis://127.0.0.1:1/0", **lifetimes))
    async with app_client(reading) as one, app_client(cut_off) as two:
        reader = caller_of(one, issuer)
        item = await reader.create(name="old")
        await reader.get(item["id"])

        answer = await caller_of(two, issuer, reader.subject).patch(item["id"], name="new")

        assert answer.status_code == 200
        assert metric(cut_off, "items_cache_invalidations_failed_total") == 1
        await until(lambda: reader.get(item["id"]), lambda answer: answer.json()["name"] == "new")


async def ready(app: FastAPI, wanted: bool) -> Any:
    """Wait until the readiness snapshot says so about the database, and the keys are there."""

    async def snapshot() -> Any:
        return app.state.health.readiness()

    found = await until(snapshot, lambda now: now.ready is wanted and now.checks.get("keys") == "ok")
    return found.checks


async def next_round(app: FastAPI) -> None:
    """Wait for a snapshot whose checks all began after now: the one after the next."""

    async def snapshot() -> Any:
        return app.state.health.readiness()

    for _ in range(2):
        before = await snapshot()
        await until(snapshot, partial(is_not, before))


async def test_a_replica_stays_ready_without_its_servers_and_tells_which_is_away(
    replica: Replica, own_postgres: Server, own_redis: Server
) -> None:
    async def checks() -> Any:
        snapshot = replica.app.state.health.readiness()
        assert snapshot.ready
        return snapshot.checks

    await ready(replica.app, wanted=True)
    with own_postgres.stopped(), own_redis.stopped():
        await until(checks, lambda now: now["postgres"] != "ok")
    await until(checks, lambda now: now["postgres"] == "ok")


async def test_a_replica_is_ready_when_its_own_head_is_applied_and_stays_so_later(
    own_postgres: Server, make_settings: MakeSettings
) -> None:
    with new_database(own_postgres.url, "unmigrated") as url:
        settings: ItemsSettings = make_settings(database_url=url)
        app = create_app(settings)
        async with app_client(app):
            assert "schema_history" in (await ready(app, wanted=False))["postgres"]

            assert await migrate(MigrationSettings(database_url=url), "services.items.migrations") == 0
            await ready(app, wanted=True)

            execute(
                url,
                "ALTER TABLE items ADD COLUMN later text",
                "INSERT INTO schema_history (revision, status) VALUES ('9999', 'applied')",
            )
            await next_round(app)
            assert app.state.health.readiness().ready

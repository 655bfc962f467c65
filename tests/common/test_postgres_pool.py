"""The pool is bounded, and a connection is back before its answer is sent."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import exc, text
from starlette.types import Message, Receive, Scope, Send

from services.common.app import create_service
from services.common.postgres import (
    check_migrated,
    open_postgres,
    ping,
    session_maker,
)
from tests.common.querying import Settings, router, statements, unavailable
from tests.support.clients import app_client
from tests.support.databases import execute


@pytest.mark.parametrize(
    ("name", "value"),
    [("application_name", "rows"), ("statement_timeout", "5s"), ("timezone", "UTC"), ("jit", "off")],
)
async def test_a_session_has_its_limits_and_its_name(rows: httpx2.AsyncClient, name: str, value: str) -> None:
    assert (await rows.get(f"/setting/{name}")).json() == value


async def test_the_pool_never_grows_over_its_size(rows: httpx2.AsyncClient, database_url: str) -> None:
    sleeping = [asyncio.create_task(rows.get("/sleep/4")) for _ in range(3)]
    await statements(database_url, "pg_sleep", 2)
    (found,) = execute(
        database_url,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rows' AND datname = current_database()",
    )
    await asyncio.gather(*sleeping)

    assert found[0]["count"] == 2


async def test_a_request_that_finds_no_connection_in_time_is_503(rows: httpx2.AsyncClient, database_url: str) -> None:
    sleeping = [asyncio.create_task(rows.get("/sleep/4")) for _ in range(2)]
    await statements(database_url, "pg_sleep", 2)

    unavailable(await rows.get("/one"), "All database connections are busy")

    assert [answer.status_code for answer in await asyncio.gather(*sleeping)] == [200, 200]
    assert (await rows.get("/one")).json() == 1


async def test_a_request_is_served_when_all_connections_are_busy_for_as_long_as_a_pod_takes_to_start(
    database_url: str,
) -> None:
    registry = CollectorRegistry()
    settings = Settings(database_url=database_url, database_pool_size=1)
    async with open_postgres(settings, registry) as engine:
        held = asyncio.Event()

        async def hold() -> None:
            async with engine.connect():
                held.set()
                await asyncio.sleep(2.5)

        async with asyncio.TaskGroup() as group:
            group.create_task(hold())
            await held.wait()
            async with engine.connect() as connection:
                assert await connection.scalar(text("SELECT 1")) == 1

    assert registry.get_sample_value("database_pool_timeouts_total") == 0


async def test_a_connection_is_back_before_the_answer_is_sent(database_url: str) -> None:
    """A client that reads slowly must not hold a connection."""
    held: list[float | None] = []
    registry = CollectorRegistry()
    settings = Settings.model_validate({"database_url": database_url})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with open_postgres(settings, registry) as engine:
            yield {"session_maker": session_maker(engine)}

    app = create_service(settings, title="Rows", routers=[router], lifespan=lifespan)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.append(registry.get_sample_value("database_pool_connections_busy"))
            await send(message)

        await app(scope, receive, send_watched)

    async with app_client(watched) as client:
        assert (await client.get("/one")).status_code == 200
        assert (await client.get("/fail/XX000")).status_code == 500

    assert held == [0, 0]


async def test_what_was_not_committed_is_rolled_back(rows: httpx2.AsyncClient, database_url: str) -> None:
    assert (await rows.post("/write")).status_code == 200

    (found,) = execute(database_url, "SELECT to_regclass('written') AS found")
    assert found[0]["found"] is None


async def test_checks_do_not_wait_for_a_pool_that_is_all_at_work(database_url: str) -> None:
    registry = CollectorRegistry()
    settings = Settings.model_validate({"database_url": database_url, "database_pool_size": 1})
    async with open_postgres(settings, registry) as engine, engine.connect() as connection:
        await connection.scalar(text("SELECT 1"))

        await ping(engine)
        with pytest.raises(asyncpg.UndefinedTableError):  # nothing is taken for migrated
            await check_migrated(engine, "0001")

        assert registry.get_sample_value("database_pool_connections_busy") == 1
        assert registry.get_sample_value("database_pool_connections_max") == 1


async def test_waiting_for_a_connection_is_measured_and_waiting_in_vain_is_counted(database_url: str) -> None:
    registry = CollectorRegistry()
    settings = Settings(database_url=database_url, database_pool_size=1, database_pool_timeout_seconds=0.2)
    sample = registry.get_sample_value
    async with open_postgres(settings, registry) as engine:
        async with engine.connect():
            assert sample("database_pool_wait_seconds_count") == 1
            with pytest.raises(exc.TimeoutError):
                await engine.connect()
        async with engine.connect():
            pass

    assert sample("database_pool_wait_seconds_count") == 3
    assert (sample("database_pool_wait_seconds_sum") or 0) >= 0.2
    assert sample("database_pool_timeouts_total") == 1


async def test_metrics_tell_whether_the_database_is_at_this_versions_head(database_url: str) -> None:
    registry = CollectorRegistry()
    async with open_postgres(Settings(database_url=database_url), registry) as engine:
        execute(
            database_url,
            "DROP TABLE IF EXISTS schema_history",
            "CREATE TABLE schema_history (id int, revision text, status text)",
        )
        assert registry.get_sample_value("migration_pending") == 1
        with pytest.raises(LookupError):
            await check_migrated(engine, "0007")
        assert registry.get_sample_value("migration_applied", {"revision": "0007"}) == 0

        execute(database_url, "INSERT INTO schema_history VALUES (1, '0007', 'applied')")
        await check_migrated(engine, "0007")
        execute(database_url, "DROP TABLE schema_history")

    assert registry.get_sample_value("migration_applied", {"revision": "0007"}) == 1
    assert registry.get_sample_value("migration_pending") == 0

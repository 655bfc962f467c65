"""A database that is away is answered for within a bound, and comes back by itself."""

import asyncio
import json

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from services.common import health
from services.common import postgres as postgres_module
from services.common.postgres import (
    AwayError,
    open_postgres,
    ping,
)
from tests.common.querying import Settings, check, registry_of, service, statements, unavailable
from tests.support.databases import execute, with_login
from tests.support.servers import Server, free_port


async def test_connections_that_the_server_cut_are_replaced_without_an_error(
    rows: httpx2.AsyncClient, database_url: str
) -> None:
    await asyncio.gather(*(rows.get("/sleep/0.05") for _ in range(2)))
    await asyncio.to_thread(
        execute,
        database_url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"  # returns when it is gone
        " WHERE application_name = 'rows' AND datname = current_database()",
    )

    assert [(await rows.get("/one")).status_code for _ in range(4)] == [200] * 4


async def test_a_server_that_stops_is_503_and_comes_back_by_itself(own_server: Server) -> None:
    async with service(own_server.url, database_statement_timeout_seconds=60) as client:
        assert (await client.get("/one")).json() == 1
        running = asyncio.create_task(client.get("/sleep/50"))
        await statements(own_server.url, "pg_sleep", 1)
        await asyncio.to_thread(own_server.stop)
        unavailable(await running, "does not answer")
        unavailable(await client.get("/one"), "does not answer")
        await asyncio.to_thread(own_server.start)
        await check(client, "ok")

        assert (await client.get("/one")).json() == 1


async def test_a_server_gone_silent_is_503_within_a_bound(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with service(own_server.url, database_statement_timeout_seconds=1, database_pool_size=1) as client:
        assert (await client.get("/one")).json() == 1
        with own_server.paused(), monkeypatch.context() as short:
            short.setattr(postgres_module, "CONNECT_TIMEOUT_SECONDS", 0.5)
            unavailable(await client.get("/one"), "does not answer")  # on the connection that it had
            unavailable(await client.get("/one"), "does not answer")  # on a new one

        await check(client, "ok")  # where all this took long, its check has found the server away, too
        assert (await client.get("/one")).json() == 1


async def test_a_server_that_was_never_there_is_503() -> None:
    async with service(f"postgresql://postgres@127.0.0.1:{free_port()}/nowhere") as client:
        unavailable(await client.get("/one"), "does not answer")


async def test_a_login_that_is_refused_is_503(database_url: str) -> None:
    async with service(with_login(database_url, "nobody", "wrong")) as client:
        unavailable(await client.get("/one"), "does not answer")


async def test_ping_raises_when_nobody_answers(database_url: str) -> None:
    async with open_postgres(Settings(database_url=database_url), CollectorRegistry()) as engine:
        await ping(engine)
    async with open_postgres(
        Settings(database_url=f"postgresql://a@127.0.0.1:{free_port()}/b"), CollectorRegistry()
    ) as engine:
        with pytest.raises(AwayError, match="Connect call failed"):
            await ping(engine)


async def test_a_server_gone_silent_under_load_fails_its_check_and_then_requests_fast(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(own_server.url, database_pool_size=1) as client:
        running = asyncio.create_task(client.get("/sleep/3"))
        await statements(own_server.url, "pg_sleep", 1)
        with own_server.paused(), monkeypatch.context() as short:
            short.setattr(health, "CHECK_TIMEOUT_SECONDS", 1.0)
            await check(client, "no answer within 1 s")
            await check(client, "no answer within 1 s", rounds=2)
            # not even the time to wait for a connection is spent: the pool is not asked
            waits = registry_of(client).get_sample_value("database_pool_timeouts_total")
            unavailable(await client.get("/one"), "does not answer")
            assert registry_of(client).get_sample_value("database_pool_timeouts_total") == waits

        await check(client, "ok")
        await running  # it has the one connection
        assert (await client.get("/one")).json() == 1


async def test_outages_leave_a_trace(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with service(with_login(database_url, "nobody", "s3cr3t")) as client:
        for _ in range(3):
            await client.get("/one")
        registry = registry_of(client)

    lines = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "reason" in line]
    (line,) = [line for line in lines if line["event"] == "database_failed"]
    assert (line["level"], line["reason"], line["sqlstate"]) == ("warning", "away", "28000")
    assert registry.get_sample_value("database_failures_total", {"reason": "away"}) == 3
    assert "s3cr3t" not in json.dumps(lines)

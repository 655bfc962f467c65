"""The pool is bounded, its failures have stated answers, and it comes back by itself."""

import asyncio
import datetime as dt
import ipaddress
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import exc, text
from starlette.types import Message, Receive, Scope, Send

from services.common import postgres as postgres_module
from services.common.app import create_service
from services.common.exceptions import UnavailableError
from services.common.failures import Failures
from services.common.health import Health
from services.common.postgres import (
    AwayError,
    SessionDep,
    check_migrated,
    open_postgres,
    ping,
    session_maker,
    translated,
)
from services.common.settings import PostgresSettings, ServiceSettings
from tests.support.clients import app_client
from tests.support.databases import execute, with_login
from tests.support.servers import Server, free_port, postgres_server
from tests.support.waits import until

router = APIRouter()


class Settings(ServiceSettings, PostgresSettings):
    """A service with a small pool."""

    service_name = "rows"


@router.get("/one")
async def one(session: SessionDep) -> int:
    return int(await session.scalar(text("SELECT 1")))


@router.get("/sleep/{seconds}")
async def sleep(seconds: float, session: SessionDep) -> None:
    await session.scalar(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})


@router.post("/echo")
async def echo(word: str, session: SessionDep) -> str:
    return str(await session.scalar(text("SELECT CAST(:word AS text)"), {"word": word}))


@router.post("/number")
async def number(value: int, session: SessionDep) -> int:
    return int(await session.scalar(text("SELECT CAST(:value AS bigint)"), {"value": value}))


@router.post("/write")
async def write(session: SessionDep) -> None:
    connection = await session.connection()
    await connection.execute(text("CREATE TABLE IF NOT EXISTS written (id int)"))


@router.get("/setting/{name}")
async def setting(name: str, session: SessionDep) -> str:
    return str(await session.scalar(text("SELECT current_setting(:name)"), {"name": name}))


@router.get("/fail/{state}")
async def fail(state: str, session: SessionDep) -> None:
    await session.scalar(text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"))


@router.get("/own/{kind}")
async def own(kind: str, session: SessionDep) -> None:
    await session.scalar(text("SELECT 1"))
    raise {"TimeoutError": TimeoutError, "ConnectionResetError": ConnectionResetError, "OSError": OSError}[kind]


@router.post("/duplicate")
async def duplicate(word: str, session: SessionDep) -> None:
    connection = await session.connection()
    await connection.execute(text("CREATE TEMPORARY TABLE once (word text UNIQUE) ON COMMIT DROP"))
    for _ in range(2):
        await session.scalar(text("INSERT INTO once VALUES (:word) RETURNING word"), {"word": word})


def registry_of(client: httpx2.AsyncClient) -> CollectorRegistry:
    registry: CollectorRegistry = APPS[client].state.registry
    return registry


async def check(client: httpx2.AsyncClient, outcome: str, rounds: int = 1) -> None:
    """Wait until the readiness check has found this, and so in each of the rounds that follow."""
    health: Health = APPS[client].state.health
    await until(lambda: health.checks.get("postgres") == outcome, f"a check that says {outcome}, not {health.checks}")
    before = health.readiness().taken_at
    await until(lambda: health.readiness().taken_at >= before + rounds - 1, "more rounds")
    assert health.checks["postgres"] == outcome


async def statements(url: str, words: str, count: int) -> None:
    """Wait until this many statements with these words run."""
    running = "SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    await until(
        lambda: sum(words in row["query"] for row in execute(url, running)[0]) == count, f"{count} statements {words}"
    )


APPS: dict[httpx2.AsyncClient, FastAPI] = {}


@asynccontextmanager
async def service(url: str, **changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    settings = Settings(database_url=url, **({"database_pool_size": 2, "database_pool_timeout_seconds": 0.3} | changes))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with open_postgres(settings, app.state.registry) as engine:
            checks = {"postgres": partial(ping, engine)}
            yield {"readiness_checks": checks, "session_maker": session_maker(engine)}

    app = create_service(settings, title="Rows", routers=[router], lifespan=lifespan)
    async with app_client(app) as client:
        APPS[client] = app
        yield client


@pytest.fixture(scope="module")
async def rows(database_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with service(database_url) as client:
        yield client


def unavailable(answer: httpx2.Response, detail: str) -> None:
    assert answer.status_code == 503, answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 3
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("application_name", "rows"), ("statement_timeout", "5s"), ("timezone", "UTC"), ("jit", "off")],
)
async def test_a_session_has_its_limits_and_its_name(rows: httpx2.AsyncClient, name: str, value: str) -> None:
    assert (await rows.get(f"/setting/{name}")).json() == value


async def test_the_pool_never_grows_over_its_size(rows: httpx2.AsyncClient, database_url: str) -> None:
    sleeping = [asyncio.create_task(rows.get("/sleep/0.5")) for _ in range(3)]
    await statements(database_url, "pg_sleep", 2)
    (found,) = execute(
        database_url,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rows' AND datname = current_database()",
    )
    await asyncio.gather(*sleeping)

    assert found[0]["count"] == 2


async def test_a_request_that_finds_no_connection_in_time_is_503(rows: httpx2.AsyncClient, database_url: str) -> None:
    sleeping = [asyncio.create_task(rows.get("/sleep/1.5")) for _ in range(2)]
    await statements(database_url, "pg_sleep", 2)

    unavailable(await rows.get("/one"), "All database connections are busy")

    assert [answer.status_code for answer in await asyncio.gather(*sleeping)] == [200, 200]
    assert (await rows.get("/one")).json() == 1


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


async def test_a_statement_that_takes_too_long_is_503(database_url: str) -> None:
    async with service(database_url, database_statement_timeout_seconds=0.2) as client:
        unavailable(await client.get("/sleep/5"), "does not answer")
        assert (await client.get("/one")).json() == 1


@pytest.mark.parametrize(("state", "detail"), [("40P01", "conflicting"), ("40001", "conflicting"), ("55P03", "busy")])
async def test_conflicts_that_pass_are_503(rows: httpx2.AsyncClient, state: str, detail: str) -> None:
    unavailable(await rows.get(f"/fail/{state}"), detail)


async def test_a_bug_in_a_statement_is_500(rows: httpx2.AsyncClient) -> None:
    assert (await rows.get("/fail/42601")).status_code == 500


@pytest.mark.parametrize("word", ["%00", "a%00b"])
async def test_text_that_cannot_be_stored_is_the_clients_fault(rows: httpx2.AsyncClient, word: str) -> None:
    answer = await rows.post(f"/echo?word={word}")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
async def test_a_number_that_cannot_be_stored_is_the_clients_fault(rows: httpx2.AsyncClient, value: int) -> None:
    assert (await rows.post(f"/number?value={value}")).status_code == 422


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
    async with service(own_server.url) as client:
        assert (await client.get("/one")).json() == 1
        running = asyncio.create_task(client.get("/sleep/4"))
        await statements(own_server.url, "pg_sleep", 1)
        await asyncio.to_thread(own_server.stop)
        unavailable(await running, "does not answer")
        unavailable(await client.get("/one"), "does not answer")
        await asyncio.to_thread(own_server.start)
        await check(client, "ok")

        assert (await client.get("/one")).json() == 1


async def test_a_server_gone_silent_is_503_within_a_bound(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "CONNECT_TIMEOUT_SECONDS", 0.5)
    async with service(own_server.url, database_statement_timeout_seconds=0.3, database_pool_size=1) as client:
        assert (await client.get("/one")).json() == 1
        with own_server.paused():
            unavailable(await client.get("/one"), "does not answer")  # on the connection that it had
            unavailable(await client.get("/one"), "does not answer")  # on a new one

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


async def test_a_server_gone_silent_under_load_fails_its_check_and_then_requests_fast(own_server: Server) -> None:
    async with service(own_server.url, database_pool_size=1) as client:
        running = asyncio.create_task(client.get("/sleep/3"))
        await statements(own_server.url, "pg_sleep", 1)
        with own_server.paused():
            await check(client, "no answer within 1 s")
            await check(client, "no answer within 1 s", rounds=2)
            begun = time.monotonic()
            unavailable(await client.get("/one"), "does not answer")
            assert time.monotonic() - begun < 0.2

        await check(client, "ok")
        assert (await client.get("/one")).json() == 1
        await running


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


async def test_a_schema_from_before_a_migration_is_503(
    rows: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for state in ("42P01", "42703"):
        unavailable(await rows.get(f"/fail/{state}"), "not at this version's schema")

    assert '"reason":"schema"' in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["TimeoutError", "ConnectionResetError", "OSError"])
async def test_an_error_of_the_endpoints_own_is_not_the_databases(rows: httpx2.AsyncClient, kind: str) -> None:
    assert (await rows.get(f"/own/{kind}")).status_code == 500


async def test_no_value_of_a_failed_statement_is_logged(
    rows: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await rows.post("/duplicate?word=marker")).status_code == 500

    said = capsys.readouterr().out
    assert "SQLSTATE 23505" in said
    assert "IntegrityError" in said
    assert "marker" not in said


def test_errors_that_are_not_of_the_database_pass() -> None:
    failures = Failures(None)
    with pytest.raises(KeyError), translated(failures):
        raise KeyError
    with pytest.raises(OSError, match="disk"), translated(failures):
        raise OSError("disk")
    with pytest.raises(UnavailableError), translated(failures):
        raise asyncpg.InterfaceError("closed")


def certificate(folder: Path, name: str) -> None:
    """A self-signed certificate of `name` for 127.0.0.1: its own authority."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(pem)
    (folder / f"{name}.key").chmod(0o600)
    (folder / f"{name}.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="needs a server of its own")
async def test_sslmode_means_what_it_means_to_libpq(tmp_path: Path) -> None:
    for name in ("server", "stranger"):
        certificate(tmp_path, name)
    with postgres_server(certificate=(tmp_path / "server.crt", tmp_path / "server.key")) as server:
        own, other = tmp_path / "server.crt", tmp_path / "stranger.crt"
        for query, encrypted in {
            "sslmode=disable": False,
            "sslmode=prefer": True,
            "sslmode=require": True,
            f"sslmode=verify-ca&sslrootcert={own}": True,
            f"sslmode=verify-full&sslrootcert={own}": True,
        }.items():
            url = Settings(database_url=f"{server.url}?{query}")
            async with open_postgres(url, CollectorRegistry()) as engine, engine.connect() as c:
                found = await c.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
                assert found is encrypted, query

        wrong = f"{server.url}?sslmode=verify-full&sslrootcert={other}"
        async with open_postgres(Settings(database_url=wrong), CollectorRegistry()) as engine:
            with pytest.raises(AwayError, match="SSLCertVerificationError"):
                await ping(engine)


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

"""A service with a small pool whose paths ask Postgres for one thing each."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from services.common.app import create_service
from services.common.health import Health
from services.common.postgres import (
    SessionDep,
    open_postgres,
    ping,
    session_maker,
)
from services.common.settings import PostgresSettings, ServiceSettings
from tests.support.clients import app_client
from tests.support.databases import execute
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


def unavailable(answer: httpx2.Response, detail: str) -> None:
    assert answer.status_code == 503, answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 3
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]

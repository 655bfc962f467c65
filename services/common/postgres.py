"""Postgres: a bounded pool, sessions, and what its failures mean to a client."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import asyncpg  # type: ignore[import-untyped]
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import event, exc, text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlmodel.ext.asyncio.session import AsyncSession

from services.common.exceptions import UnavailableError, UnprocessableError
from services.common.settings import PostgresSettings

CONNECT_TIMEOUT_SECONDS = 3
RECYCLE_SECONDS = 1800

SessionMaker = async_sessionmaker[AsyncSession]


@asynccontextmanager
async def open_postgres(
    settings: PostgresSettings, registry: CollectorRegistry | None = None
) -> AsyncGenerator[AsyncEngine]:
    """An engine whose pool never holds more than `database_pool_size` connections. Connects when first asked.

    With a registry, gauges tell how many there may be and how many are at work.
    """
    engine = create_engine(settings)
    if registry is not None:
        _watch(engine, registry)
    try:
        yield engine
    finally:
        await engine.dispose()


def create_engine(settings: PostgresSettings) -> AsyncEngine:
    """The engine of `open_postgres`. asyncpg reads the URL by itself, `sslmode` and `sslrootcert` included."""
    dsn = settings.database_url.get_secret_value()
    timeout = settings.database_statement_timeout_seconds
    server_settings = {
        "application_name": settings.service_name,
        "statement_timeout": str(int(timeout * 1000)),
        "idle_in_transaction_session_timeout": str(int(timeout * 2000)),
        "timezone": "UTC",
        "jit": "off",
    }

    async def connect() -> Any:
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=timeout + 1,  # the server's own limit comes first; this one is for a server gone silent
            server_settings=server_settings,
        )

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_timeout_seconds,
        pool_recycle=RECYCLE_SECONDS,
        pool_use_lifo=True,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _watch(engine: AsyncEngine, registry: CollectorRegistry) -> None:
    pool = _pool(engine)
    size = Gauge("database_pool_connections_max", "Connections that the pool may hold", registry=registry)
    size.set(pool.size())
    busy = Gauge("database_pool_connections_busy", "Connections that requests hold now", registry=registry)
    busy.set_function(pool.checkedout)


def _pool(engine: AsyncEngine) -> QueuePool:
    assert isinstance(engine.pool, QueuePool)  # noqa: S101 - the engine is made above
    return engine.pool


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Notice a connection that the server has closed before it is used: costs nothing, unlike a ping."""
    if connection.driver_connection.is_closed():
        raise exc.InvalidatePoolError("closed by the server")


def session_maker(engine: AsyncEngine) -> SessionMaker:
    """Sessions that keep loaded values after the commit."""
    return async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session(request: Request) -> AsyncGenerator[AsyncSession]:
    """One session a request; what was not committed is rolled back."""
    with translated():
        async with request.state.session_maker() as session:
            yield session


# scope="function": the connection is back in the pool before the answer is sent
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]


async def ping(engine: AsyncEngine) -> None:
    """Ask the server something; raises when it does not answer. A pool that is all at work is answer enough."""
    if _is_busy(engine):
        return
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def check_migrated(engine: AsyncEngine, head: str) -> None:
    """Raise unless `head` was applied. A database that is further on is fine: it lists this head too.

    A pool that is all at work is not asked: a pod that is busy must not leave the load to the others.
    """
    if _is_busy(engine):
        return
    statement = text("SELECT 1 FROM schema_history WHERE revision = :head AND status = 'applied' LIMIT 1")
    async with engine.connect() as connection:
        if (await connection.execute(statement, {"head": head})).first() is None:
            raise LookupError(f"revision {head} is not applied yet")


def _is_busy(engine: AsyncEngine) -> bool:
    pool = _pool(engine)
    return pool.checkedout() >= pool.size()


# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
# connection, login, no such database, resources, operator (shutting down, starting up, cancelled by timeout)
AWAY_CLASSES = ("08", "28", "3D", "53", "57")
TRY_AGAIN = frozenset({"40001", "40P01", "55P03", "25006"})  # serialisation, deadlock, lock timeout, read-only standby
UNUSABLE = frozenset({"22021", "22P05", "22003"})  # NUL, a character that the encoding lacks, a number too large


@contextmanager
def translated() -> Generator[None]:
    """Say what a failure of Postgres means to the client: 503 when it is away, 422 for values it cannot hold."""
    try:
        yield
    except exc.TimeoutError as error:
        raise UnavailableError("All database connections are busy") from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UnavailableError("The database does not answer") from error
    except exc.DBAPIError as error:
        raise _meaning(error) from error


def _meaning(error: exc.DBAPIError) -> Exception:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if error.connection_invalidated or state.startswith(AWAY_CLASSES):
        return UnavailableError("The database does not answer")
    if state in TRY_AGAIN:
        return UnavailableError("The database was busy with a conflicting change")
    if state in UNUSABLE or isinstance(_encoding_error(error), OverflowError | UnicodeEncodeError):
        return UnprocessableError("A value holds what cannot be stored")
    return error


def _encoding_error(error: exc.DBAPIError) -> BaseException | None:
    """Why asyncpg could not encode an argument, below the classes that wrap it."""
    driver_error = error.orig.__cause__ if error.orig else None
    return driver_error.__cause__ if driver_error else None

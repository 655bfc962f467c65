"""Postgres: a bounded pool, sessions, and what its failures mean to a client."""

import json
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import asyncpg  # type: ignore[import-untyped]
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry
from sqlalchemy import event, exc
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from services.common.apart import Apart
from services.common.database_metrics import DatabaseMetrics, TimedPool
from services.common.exceptions import UnavailableError, UnprocessableError
from services.common.failures import Failures
from services.common.settings import PostgresSettings

CONNECT_TIMEOUT_SECONDS = 3
RECYCLE_SECONDS = 1800

APART, FAILURES, METRICS = "apart", "failures", "metrics"  # what an engine carries along, as execution options
ROWS = "SELECT json_object_agg(relname, n_live_tup) FROM pg_stat_user_tables WHERE schemaname = current_schema()"
IS_APPLIED = "SELECT 1 FROM schema_history WHERE revision = $1 AND status = 'applied' LIMIT 1"

DatabaseSession = AsyncSession  # for services, which hand it on to their repositories
SessionMaker = async_sessionmaker[AsyncSession]


class AwayError(Exception):
    """Postgres cannot be reached, or does not answer any more: what failed stands in its cause."""


@asynccontextmanager
async def open_postgres(settings: PostgresSettings, registry: CollectorRegistry) -> AsyncGenerator[AsyncEngine]:
    """An engine whose pool never holds more than `database_pool_size` connections. Connects when first asked.

    One connection more serves the readiness checks. Metrics tell how many there may be, how many are at work, and how
    long it took to get one.
    """
    engine = create_engine(settings, registry)
    try:
        yield engine
    finally:
        await engine.dispose()


def create_engine(settings: PostgresSettings, registry: CollectorRegistry | None = None) -> AsyncEngine:
    """The engine of `open_postgres`. asyncpg reads the URL by itself, `sslmode` and `sslrootcert` included."""
    timeout = settings.database_statement_timeout_seconds
    server_settings = {
        "statement_timeout": str(int(timeout * 1000)),
        "idle_in_transaction_session_timeout": str(int(timeout * 2000)),
        "jit": "off",
    }

    async def connect(purpose: str = "") -> Any:
        # the server's own limit comes first; this one is for a server gone silent
        return await connect_postgres(settings, settings.service_name + purpose, server_settings, timeout + 1)

    apart = Apart(lambda: connect(" checks"))
    metrics = DatabaseMetrics(registry)
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        poolclass=TimedPool,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_timeout_seconds,
        pool_recycle=RECYCLE_SECONDS,
        pool_use_lifo=True,
        hide_parameters=True,  # in the messages of its errors
        execution_options={APART: apart, FAILURES: Failures(registry), METRICS: metrics},
    )
    metrics.watch(engine.sync_engine.pool)
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "handle_error", _name_silence)
    event.listen(engine.sync_engine, "engine_disposed", lambda _: apart.close())
    return engine


async def connect_postgres(
    settings: PostgresSettings, name: str, server_settings: Mapping[str, str], command_timeout: float | None = None
) -> Any:
    """Connect with the driver; `name` is what the server's views call this client. Raises AwayError."""
    own = {"application_name": name, "timezone": "UTC", **server_settings}
    try:
        return await asyncpg.connect(
            settings.database_url.get_secret_value(),
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=command_timeout,
            server_settings=own,
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise AwayError(f"{type(error).__name__}: {error}") from error


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Notice a connection that the server has closed before it is used: costs nothing, unlike a ping."""
    if connection.driver_connection.is_closed():
        raise exc.InvalidatePoolError("closed by the server")


def _name_silence(context: ExceptionContext) -> None:
    """Tell a time-out or a broken connection of a statement from one of the endpoint's own."""
    error = context.original_exception
    if isinstance(error, OSError | TimeoutError):
        raise AwayError(type(error).__name__) from error


def session_maker(engine: AsyncEngine) -> SessionMaker:
    """Sessions that keep loaded values after the commit."""
    return async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session(request: Request) -> AsyncGenerator[AsyncSession]:
    """One session a request; what was not committed is rolled back."""
    engine: AsyncEngine = request.state.session_maker.kw["bind"]
    options = engine.get_execution_options()
    with translated(options[FAILURES]):
        if options[APART].away:
            raise AwayError("as the readiness check has found")
        async with request.state.session_maker() as session:
            yield session


@asynccontextmanager
async def open_session(maker: SessionMaker) -> AsyncGenerator[AsyncSession]:
    """A session of a task or a command; failures of Postgres are UnavailableError there as well."""
    with translated(maker.kw["bind"].get_execution_options()[FAILURES]):
        async with maker() as session:
            yield session


# scope="function": the connection is back in the pool before the answer is sent
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]


async def ping(engine: AsyncEngine) -> None:
    """Ask the server something over the connection of its own; raises when it does not answer."""
    await engine.get_execution_options()[APART].fetchval("SELECT 1")


async def check_migrated(engine: AsyncEngine, head: str) -> None:
    """Raise unless `head` was applied. A database that is further on is fine: it lists this head too."""
    options = engine.get_execution_options()
    applied = await options[APART].fetchval(IS_APPLIED, head) is not None
    options[METRICS].migrated(head, applied=applied)
    if not applied:
        raise LookupError(f"revision {head} is not applied yet")


async def estimated_rows(engine: AsyncEngine) -> dict[str, int]:
    """Live rows by table as the server's statistics have them: at no cost, a second late, not to the last one."""
    found: str | None = await engine.get_execution_options()[APART].fetchval(ROWS)
    return {} if found is None else json.loads(found)


# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
# connection, login, no such database, resources, operator (shutting down, starting up, cancelled by timeout)
AWAY_CLASSES = ("08", "28", "3D", "53", "57")
TRY_AGAIN = frozenset({"40001", "40P01", "55P03", "25006"})  # serialisation, deadlock, lock timeout, read-only standby
OLDER = frozenset({"42P01", "42703"})  # no such table, no such column: a schema restored from before a migration
UNUSABLE = frozenset({"22021", "22P05", "22003"})  # NUL, a character that the encoding lacks, a number too large


@contextmanager
def translated(failures: Failures) -> Generator[None]:
    """Say what a failure of Postgres means to the client: 503 when it is away, 422 for values it cannot hold.

    Only errors of the database are: an endpoint's own OSError is its own.
    """
    try:
        yield
    except exc.TimeoutError as error:
        failures.failed("busy", error)
        raise UnavailableError("All database connections are busy") from error
    except AwayError as error:
        failures.failed("away", error.__cause__ or error, _sqlstate(error.__cause__))
        raise UnavailableError("The database does not answer") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        failures.failed("away", error, _sqlstate(error))
        raise UnavailableError("The database does not answer") from error
    except exc.StatementError as error:
        reason, meaning = _meaning(error)
        if reason:
            failures.failed(reason, error.orig or error, _sqlstate(error.orig))
        raise meaning from error


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(error, "sqlstate", None)


def _meaning(error: exc.StatementError) -> tuple[str, Exception]:
    """The reason to count it under, none for what the client did, and what to raise."""
    state = _sqlstate(error.orig) or ""
    lost = isinstance(error.orig, AwayError) or (isinstance(error, exc.DBAPIError) and error.connection_invalidated)
    if lost or state.startswith(AWAY_CLASSES):
        return "away", UnavailableError("The database does not answer")
    if state in TRY_AGAIN:
        return "conflict", UnavailableError("The database was busy with a conflicting change")
    if state in OLDER:
        return "schema", UnavailableError("The database is not at this version's schema")
    if state in UNUSABLE or isinstance(_encoding_error(error), OverflowError | UnicodeEncodeError):
        return "", UnprocessableError("A value holds what cannot be stored")
    return "error", error


def _encoding_error(error: exc.StatementError) -> BaseException | None:
    """Why asyncpg could not encode an argument, below the classes that wrap it."""
    driver_error = error.orig.__cause__ if error.orig else None
    return driver_error.__cause__ if driver_error else None

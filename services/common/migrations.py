"""Brings a database to a version's head: once, by one process at a time, with the outcome written down."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any

import structlog
from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from services.common.apart import Apart
from services.common.postgres import IS_APPLIED, AwayError, connect_postgres
from services.common.settings import MigrationSettings

LOCK = 7_463_982_015  # any number, the same for ever; advisory locks count for one database
LOCK_POLL_SECONDS = 0.5
HISTORY = """
CREATE TABLE IF NOT EXISTS schema_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision text NOT NULL,
    status text NOT NULL CHECK (status IN ('applied', 'failed')),
    reason text,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""
# grants by default privileges cover these two as well; who serves may read how far the schema is, not decide it
PROTECT = text("""
DO $$
DECLARE held record;
BEGIN
    FOR held IN
        SELECT DISTINCT relname, grantee::regrole AS grantee
        FROM pg_class CROSS JOIN aclexplode(relacl)
        WHERE relnamespace = current_schema()::regnamespace AND relname IN ('schema_history', 'alembic_version')
            AND grantee NOT IN (relowner, 0)
    LOOP
        EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %I FROM %s', held.relname, held.grantee);
    END LOOP;
END $$""")
RECORD = text("INSERT INTO schema_history (revision, status, reason) VALUES (:revision, :status, :reason)")

WATCH_SECONDS = 5.0
SILENT_SECONDS = 60.0  # without an answer to anybody the server is taken for gone

log = structlog.get_logger()


class GaveUpError(Exception):
    """The database, or the turn to migrate it, did not come in time."""


def head(package: str) -> str:
    """The newest revision that this code knows, such as `services.items.migrations` -> "0003"."""
    revision = ScriptDirectory.from_config(_config(package)).get_current_head()
    if revision is None:
        raise LookupError(f"{package} holds no migrations")
    return revision


def run_env(metadata: MetaData) -> None:
    """What a service's `env.py` calls: each migration in a transaction that also lists it in `schema_history`."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        on_version_apply=_record_applied,
        include_name=lambda name, kind, _: not (kind == "table" and name == "schema_history"),
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _record_applied(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG001 - alembic's signature
    ctx.connection.execute(RECORD, {"revision": step.up_revision_id, "status": "applied", "reason": None})


async def migrate(settings: MigrationSettings, package: str) -> int:
    """Migrate to head. Returns the exit code: 0 done (or done before), 1 with the reason logged and recorded."""
    target = head(package)
    engine = _engine(settings)
    try:
        async with _connected(engine, settings) as connection, _locked(connection, settings):
            await _while_there(_migrate_once(connection, package, target), settings)
    except GaveUpError as error:
        log.error("migration_gave_up", head=target, reason=str(error))  # noqa: TRY400 - the stack tells nothing
        return 1
    except Exception as error:
        log.exception("migration_failed", head=target, reason=_reason(error))
        await _record_failure(engine, settings, target, _reason(error))
        return 1
    else:
        return 0
    finally:
        await engine.dispose()


async def _migrate_once(connection: AsyncConnection, package: str, target: str) -> None:
    await connection.execute(text(HISTORY))
    await connection.commit()
    done = (await connection.exec_driver_sql(IS_APPLIED, (target,))).first()
    await connection.commit()
    if done:
        log.info("migration_not_needed", head=target)
        return
    log.info("migration_started", head=target)
    await connection.run_sync(_upgrade, package)
    await connection.execute(PROTECT)
    await connection.commit()
    log.info("migration_finished", head=target)


async def _record_failure(engine: AsyncEngine, settings: MigrationSettings, target: str, reason: str) -> None:
    """Leave the reason in the database, over a new connection: the old one may be the reason."""
    try:
        async with _connected(engine, settings) as connection:
            await connection.execute(RECORD, {"revision": target, "status": "failed", "reason": reason})
            await connection.commit()
    except (GaveUpError, AwayError, exc.DBAPIError) as error:
        log.warning("failure_not_recorded", head=target, reason=_reason(error))


def _upgrade(connection: Connection, package: str) -> None:
    config = _config(package)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files(package)).replace("%", "%%"))
    return config


async def _while_there(work: Coroutine[Any, Any, None], settings: MigrationSettings) -> None:
    """Do the work for as long as the server answers others: a statement may take hours, a vanished server for ever."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_until_silent(settings))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        finished = working.done()
        for task in (working, watching):
            task.cancel()
        await asyncio.wait({working, watching})
    if not finished:
        raise AwayError(f"the server has not answered for {SILENT_SECONDS:g} s")
    await working


async def _until_silent(settings: MigrationSettings) -> None:
    apart = Apart(lambda: _connect_driver(settings))
    answered_at = time.monotonic()
    try:
        while time.monotonic() - answered_at < SILENT_SECONDS:
            with suppress(Exception):  # whatever it is, it is no answer
                async with asyncio.timeout(WATCH_SECONDS):
                    await apart.fetchval("SELECT 1")
                answered_at = time.monotonic()
            await asyncio.sleep(WATCH_SECONDS)
    finally:
        apart.close()


def _reason(error: Exception) -> str:
    """What went wrong, without the DETAIL: it quotes rows."""
    if isinstance(error, AwayError):
        return str(error)[:2000]
    origin = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    return f"{type(origin).__name__}: {origin}".partition("\nDETAIL:")[0][:2000]


async def _connect_driver(settings: MigrationSettings) -> Any:
    # an ALTER that waits for a long query makes everybody wait behind it: rather give up and try again
    lock_timeout = str(int(settings.database_lock_timeout_seconds * 1000))
    return await connect_postgres(settings, "migrations", {"lock_timeout": lock_timeout, "statement_timeout": "0"})


def _engine(settings: MigrationSettings) -> AsyncEngine:
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: _connect_driver(settings),
        poolclass=NullPool,
        hide_parameters=True,
    )


@asynccontextmanager
async def _connected(engine: AsyncEngine, settings: MigrationSettings) -> AsyncGenerator[AsyncConnection]:
    """Wait for the server, the database, the login and its role; raises GaveUpError with the last reason."""
    deadline = time.monotonic() + settings.database_wait_seconds
    while True:
        try:
            connection = await _connect(engine, settings.database_owner_role)
            break
        except (AwayError, exc.DBAPIError) as error:
            reason = _reason(error)
            if time.monotonic() > deadline:
                raise GaveUpError(
                    f"the database was not there within {settings.database_wait_seconds:g} s: {reason}"
                ) from error
            log.info("database_awaited", reason=reason)
            await asyncio.sleep(1)
    try:
        yield connection
    finally:
        await connection.close()


async def _connect(engine: AsyncEngine, role: str | None) -> AsyncConnection:
    """Connect and act as the owner, so that tables belong to the role and not to whichever login made them."""
    connection = await engine.connect()
    try:
        if role:
            await connection.execute(text(f'SET ROLE "{role}"'))
            await connection.commit()
    except exc.DBAPIError:
        await connection.close()
        raise
    return connection


@asynccontextmanager
async def _locked(connection: AsyncConnection, settings: MigrationSettings) -> AsyncGenerator[None]:
    """Hold the lock that makes this the only migrator; the server frees it if this process dies."""
    deadline = time.monotonic() + settings.database_wait_seconds
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        await connection.commit()
        if time.monotonic() > deadline:
            raise GaveUpError(f"another migrator held the lock for {settings.database_wait_seconds:g} s")
        log.info("migration_lock_awaited")
        await asyncio.sleep(LOCK_POLL_SECONDS)
    await connection.commit()
    try:
        yield
    finally:
        # a connection that was lost has freed it already
        with suppress(AwayError, exc.StatementError, exc.InvalidRequestError):
            await connection.rollback()
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
            await connection.commit()

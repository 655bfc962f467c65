"""A database is brought to head once, by one, and what happened is written down."""

import asyncio
import json
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from prometheus_client import CollectorRegistry

from services.common import migrations
from services.common import postgres as postgres_module
from services.common.migrations import head, migrate
from services.common.postgres import check_migrated, open_postgres
from services.common.settings import MigrationSettings, PostgresSettings
from tests.support.databases import execute, new_database, with_database, with_login
from tests.support.processes import Process, service_process
from tests.support.servers import Server, free_port

SAMPLE = "tests.common.sample.migrations"


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"migrations_{uuid.uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the sample's history, the package `copied`, that a test may change; yields its versions' folder."""
    shutil.copytree(Path(__file__).parent / "sample/migrations", tmp_path / "copied")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "copied/versions"
    sys.modules.pop("copied", None)


def settings(url: str, **changes: Any) -> MigrationSettings:
    return MigrationSettings(database_url=url, **({"database_wait_seconds": 60} | changes))


def listed(url: str) -> list[tuple[str, str]]:
    (rows,) = execute(url, "SELECT revision, status FROM schema_history ORDER BY id")
    return [(row["revision"], row["status"]) for row in rows]


def add(history: Path, revision: str, down: str, *statements: str) -> None:
    body = "\n".join(f"    op.execute({statement!r})" for statement in statements)
    (history / f"{revision}.py").write_text(
        f'from alembic import op\nrevision = "{revision}"\ndown_revision = "{down}"\ndef upgrade():\n{body}\n'
    )


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_an_empty_database_is_brought_to_head(url: str) -> None:
    assert head(SAMPLE) == "0002"

    assert await migrate(settings(url), SAMPLE) == 0

    assert listed(url) == [("0001", "applied"), ("0002", "applied")]
    execute(url, "INSERT INTO things (id, name, price) VALUES (1, 'lamp', 5)")


async def test_a_second_time_changes_nothing(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    await migrate(settings(url), SAMPLE)

    assert await migrate(settings(url), SAMPLE) == 0

    assert len(listed(url)) == 2
    assert "migration_not_needed" in capsys.readouterr().out


async def test_of_two_migrators_one_does_it_and_the_other_sees_it_done(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = await asyncio.gather(*(migrate(settings(url), SAMPLE) for _ in range(2)))

    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert codes == [0, 0]
    assert listed(url) == [("0001", "applied"), ("0002", "applied")]
    assert events.count("migration_started") == 1
    assert events.count("migration_not_needed") == 1


async def test_a_migrator_that_dies_frees_the_lock(url: str) -> None:
    async with connection(url) as other:
        await other.execute("SELECT pg_advisory_lock($1)", migrations.LOCK)
        waiting = asyncio.create_task(migrate(settings(url), SAMPLE))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        other.terminate()

    assert await waiting == 0


async def test_a_lock_that_is_never_freed_ends_with_a_reason(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with connection(url) as other:
        await other.execute("SELECT pg_advisory_lock($1)", migrations.LOCK)

        assert await migrate(settings(url, database_wait_seconds=0.1), SAMPLE) == 1

    assert "another migrator held the lock" in capsys.readouterr().out


async def test_a_failure_leaves_its_reason_and_no_half_of_itself(
    url: str, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(history, "0003", "0002", "CREATE TABLE half (id int)", "SELECT 1 / 0")

    assert await migrate(settings(url), "copied") == 1

    assert listed(url) == [("0001", "applied"), ("0002", "applied"), ("0003", "failed")]
    (rows,), (half,) = (
        execute(url, "SELECT reason FROM schema_history WHERE status = 'failed'"),
        execute(url, "SELECT to_regclass('half') AS half"),
    )
    assert "division by zero" in rows[0]["reason"]
    assert half[0]["half"] is None
    assert "division by zero" in capsys.readouterr().out


async def test_after_a_failure_was_mended_the_same_revision_is_applied(url: str, history: Path) -> None:
    add(history, "0003", "0002", "SELECT 1 / 0")
    await migrate(settings(url), "copied")
    add(history, "0003", "0002", "CREATE TABLE whole (id int)")

    assert await migrate(settings(url), "copied") == 0

    assert listed(url)[-2:] == [("0003", "failed"), ("0003", "applied")]


async def test_a_change_that_waits_for_a_lock_gives_up_before_everybody_waits_behind_it(
    url: str, history: Path
) -> None:
    await migrate(settings(url), SAMPLE)
    add(history, "0003", "0002", "ALTER TABLE things ADD COLUMN colour text")
    async with asyncio.timeout(60), connection(url) as reader, reader.transaction():
        await reader.fetch("SELECT * FROM things")

        assert await migrate(settings(url, database_lock_timeout_seconds=0.2), "copied") == 1

    (rows,) = execute(url, "SELECT reason FROM schema_history WHERE status = 'failed'")
    assert "lock timeout" in rows[0]["reason"]


async def test_an_index_may_be_built_without_a_lock(url: str, history: Path) -> None:
    (history / "0003.py").write_text(
        "from alembic import op\n"
        'revision = "0003"\ndown_revision = "0002"\n'
        "def upgrade():\n"
        "    with op.get_context().autocommit_block():\n"
        '        op.execute("CREATE INDEX CONCURRENTLY by_name ON things (name)")\n'
    )

    assert await migrate(settings(url), "copied") == 0

    assert listed(url)[-1] == ("0003", "applied")


async def test_a_job_of_an_older_version_is_done_on_a_newer_database(url: str, history: Path) -> None:
    add(history, "0003", "0002", "ALTER TABLE things ADD COLUMN colour text")
    await migrate(settings(url), "copied")

    assert await migrate(settings(url), SAMPLE) == 0

    assert listed(url)[-1] == ("0003", "applied")


async def test_a_pod_is_ready_when_its_own_head_is_listed(url: str, history: Path) -> None:
    add(history, "0003", "0002", "SELECT 1 / 0")
    async with open_postgres(PostgresSettings(database_url=url), CollectorRegistry()) as engine:
        with pytest.raises(Exception, match="schema_history"):
            await check_migrated(engine, "0002")
        await migrate(settings(url), "copied")

        await check_migrated(engine, "0001")
        await check_migrated(engine, "0002")
        with pytest.raises(LookupError, match="0003 is not applied yet"):
            await check_migrated(engine, "0003")


async def test_tables_belong_to_the_role_and_not_to_its_login(url: str) -> None:
    name = f"role_{uuid.uuid4().hex[:8]}"
    execute(url, f"CREATE ROLE {name}_owner NOLOGIN", f"CREATE ROLE {name}_a LOGIN PASSWORD 'a1' IN ROLE {name}_owner")
    execute(url, f"GRANT CREATE, USAGE ON SCHEMA public TO {name}_owner")
    login = with_login(url, f"{name}_a", "a1")
    try:
        assert await migrate(settings(login, database_owner_role=f"{name}_owner"), SAMPLE) == 0
        absent = settings(login, database_owner_role=f"{name}_nobody", database_wait_seconds=0)
        assert await migrate(absent, SAMPLE) == 1

        (rows,) = execute(url, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert [row["tableowner"] for row in rows] == [f"{name}_owner"]
    finally:
        execute(url, f"DROP OWNED BY {name}_owner", f"DROP ROLE {name}_a", f"DROP ROLE {name}_owner")


async def test_who_serves_may_read_how_far_the_schema_is_and_not_decide_it(url: str) -> None:
    app = f"app_{uuid.uuid4().hex[:8]}"
    execute(url, f"CREATE ROLE {app} LOGIN PASSWORD 'a1'", f"GRANT USAGE ON SCHEMA public TO {app}")
    execute(url, f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app}")
    try:
        assert await migrate(settings(url), SAMPLE) == 0

        login = with_login(url, app, "a1")
        assert execute(login, "SELECT revision FROM schema_history")[0]
        for forbidden in (
            "INSERT INTO schema_history (revision, status) VALUES ('9999', 'applied')",
            "UPDATE schema_history SET status = 'applied'",
            "DELETE FROM alembic_version",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                execute(login, forbidden)
    finally:
        execute(url, f"DROP OWNED BY {app}", f"DROP ROLE {app}")


async def test_a_database_that_never_comes_ends_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    away = f"postgresql://postgres@127.0.0.1:{free_port()}/nowhere"

    assert await migrate(settings(away, database_wait_seconds=0), SAMPLE) == 1

    assert "the database was not there within 0 s" in capsys.readouterr().out


async def test_a_database_that_comes_late_is_waited_for(postgres_url: str) -> None:
    name = f"late_{uuid.uuid4().hex[:8]}"
    waiting = asyncio.create_task(migrate(settings(with_database(postgres_url, name)), SAMPLE))
    await asyncio.sleep(0.3)
    assert not waiting.done()

    with new_database(postgres_url, name):
        assert await waiting == 0


async def test_a_connection_lost_in_the_middle_ends_with_a_reason(url: str, history: Path) -> None:
    add(history, "0003", "0002", "SELECT pg_sleep(600)")
    task = asyncio.create_task(migrate(settings(url), "copied"))
    theirs = "FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND datname = current_database()"
    cut = f"SELECT count(pg_terminate_backend(pid)) {theirs}"
    async with connection(url) as other, asyncio.timeout(60):
        while not await other.fetchval(cut):  # noqa: ASYNC110 - the event is the server's
            await asyncio.sleep(0.01)

    assert await task == 1
    assert listed(url) == [("0001", "applied"), ("0002", "applied"), ("0003", "failed")]
    add(history, "0003", "0002", "SELECT 1")
    assert await migrate(settings(url), "copied") == 0


async def test_a_server_that_vanishes_in_the_middle_ends_it_in_time(
    own_server: Server, history: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(migrations, "WATCH_SECONDS", 0.1)
    add(history, "0003", "0002", "SELECT pg_sleep(600)")
    task = asyncio.create_task(migrate(settings(own_server.url, database_wait_seconds=0), "copied"))
    sleeping = "SELECT count(*) AS found FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'"
    async with asyncio.timeout(60):
        while not execute(own_server.url, sleeping)[0][0]["found"]:  # noqa: ASYNC110 - the event is the server's
            await asyncio.sleep(0.05)
        # from now on: a busy machine may take longer to connect, and to answer
        monkeypatch.setattr(migrations, "SILENT_SECONDS", 0.5)
        monkeypatch.setattr(postgres_module, "CONNECT_TIMEOUT_SECONDS", 0.5)
        with own_server.paused():
            assert await task == 1

    said = capsys.readouterr().out
    assert "the server has not answered for 0.5 s" in said


async def test_a_time_out_inside_a_migration_is_a_failure_and_recorded(url: str, history: Path) -> None:
    (history / "0003.py").write_text(
        'revision = "0003"\ndown_revision = "0002"\ndef upgrade():\n    raise TimeoutError("the other side")\n'
    )

    assert await migrate(settings(url), "copied") == 1

    (rows,) = execute(url, "SELECT reason FROM schema_history WHERE status = 'failed'")
    assert rows[0]["reason"] == "TimeoutError: the other side"


async def test_no_row_is_quoted_where_a_migration_fails(
    url: str, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(
        history,
        "0003",
        "0002",
        "CREATE TABLE secrets (word text UNIQUE)",
        "INSERT INTO secrets VALUES ('mark'||'er')",
        "INSERT INTO secrets VALUES ('mark'||'er')",
    )

    assert await migrate(settings(url), "copied") == 1

    (rows,) = execute(url, "SELECT reason FROM schema_history WHERE status = 'failed'")
    assert "secrets_word_key" in rows[0]["reason"]
    assert "marker" not in rows[0]["reason"] + capsys.readouterr().out


async def test_sigterm_ends_a_migration_and_frees_its_lock(url: str) -> None:
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    async with connection(url) as watching, connection(url) as other:
        with service_process(
            "tests.common.sample", {"DATABASE_URL": url}, arguments=("migrate",), wait_ready=False
        ) as process:
            async with other.transaction(), asyncio.timeout(60):
                await other.execute("CREATE TABLE things ()")  # the migration waits to see whether this is committed
                while not await watching.fetchval(held):  # noqa: ASYNC110 - the event is the server's
                    await asyncio.sleep(0.01)
                process.terminate()
                assert await asyncio.to_thread(process.wait) == 143, process.log
                await other.execute("DROP TABLE things")
        async with asyncio.timeout(60):
            while await watching.fetchval(held):  # noqa: ASYNC110 - the event is the server's
                await asyncio.sleep(0.01)


def test_the_command_migrates_and_tells_its_head(url: str) -> None:
    def command(name: str, **env: str) -> AbstractContextManager[Process]:
        return service_process("tests.common.sample", env, arguments=(name,), wait_ready=False)

    with command("migrate", DATABASE_URL=url) as migrated, command("head") as told, command("migrate") as refused:
        assert migrated.wait(40) == 0, migrated.log
        assert (told.wait(40), told.log) == (0, "0002\n")
        assert (refused.wait(40), refused.log) == (2, "DATABASE_URL is not set.\n")
    assert listed(url) == [("0001", "applied"), ("0002", "applied")]

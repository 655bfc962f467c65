"""The script of the roles Job with a real Postgres: who may do what, and rotation without an error."""

import asyncio
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
import pytest

from tests.charts.processes import FILES, own, run
from tests.support.servers import Server, execute, postgres_server, with_database

RECONCILE = FILES / "roles" / "reconcile.sh"
QUIET_SECONDS = 1


class Release:
    """One service's secrets, and the script over them; names differ from test to test, as roles are the server's."""

    def __init__(self, admin: str, folder: Path, bundled: str = "1") -> None:
        self.admin, self.bundled = admin, bundled
        self.service = f"s{uuid.uuid4().hex[:8]}"
        self.secrets = folder / "secrets"
        (self.secrets / self.service).mkdir(parents=True)
        self.passwords("first")
        self.monitor = "0"
        own(folder)

    def passwords(self, word: str) -> None:
        """New passwords, as a rotation brings them; a quote must not end the statement."""
        for role in ("app", "owner"):
            (self.secrets / self.service / f"{role}-password").write_text(f"{role}'{word}")
        (self.secrets / "monitor-password").write_text(f"monitor'{word}")

    def reconcile(self, slot: str = "a", deadline: int = 120) -> subprocess.CompletedProcess[str]:
        """Run the script to its end."""
        env = {
            "SERVICES": self.service,
            "SLOT": slot,
            "SECRETS_DIR": str(self.secrets),
            "BUNDLED": self.bundled,
            "MONITOR": self.monitor,
            "DEADLINE_SECONDS": str(deadline),
            "QUIET_SECONDS": str(QUIET_SECONDS),
            "ADMIN_URL": self.admin,
        }
        return run(RECONCILE, env)

    def watching(self, word: str = "first", database: str = "postgres") -> str:
        """The URL of the login that watches."""
        return f"postgresql://monitor:monitor%27{word}@127.0.0.1:{urlsplit(self.admin).port}/{database}"

    def url(self, role: str, slot: str = "a", word: str = "first", database: str | None = None) -> str:
        """The URL of one of the service's logins."""
        address = urlsplit(self.admin)
        login = f"{self.service}_{role}_{slot}:{role}%27{word}"
        return f"postgresql://{login}@127.0.0.1:{address.port}/{database or self.service}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that trusts its administrator and asks everybody else for a password."""
    with postgres_server() as server:
        (server.folder / "data" / "pg_hba.conf").write_text(
            "host all postgres all trust\nhost all all all scram-sha-256\n"
        )
        execute(server.url, "SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def release(server: Server, folder: Path) -> Release:
    """A service after the first run of the script."""
    release = Release(server.url, folder)
    done = release.reconcile()
    assert (done.returncode, done.stderr) == (0, "")
    return release


def test_the_application_reads_and_writes_what_the_owner_makes_and_makes_nothing(release: Release) -> None:
    execute(
        release.url("owner"),
        "CREATE TABLE schema_history (id bigint GENERATED ALWAYS AS IDENTITY, revision text)",
        "INSERT INTO schema_history (revision) VALUES ('0001')",
        "CREATE TABLE things (id serial PRIMARY KEY, name text)",
    )
    app = release.url("app")

    assert execute(app, "SELECT revision FROM schema_history") == [[("0001",)]]
    execute(app, "INSERT INTO things (name) VALUES ('a')", "UPDATE things SET name = 'b'", "DELETE FROM things")
    for statement in (
        "CREATE TABLE mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE things ADD extra int",
        "DROP TABLE things",
        "TRUNCATE things",
        "CREATE ROLE mine",
        f"SET ROLE {release.service}_owner",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    ):
        try:
            execute(app, statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        if not statement.startswith("ALTER DEFAULT"):  # about tables of its own, of which it has none
            pytest.fail(f"the application may {statement}")


def test_the_application_cannot_change_what_migrations_write_down(release: Release) -> None:
    execute(
        release.url("owner"), "CREATE TABLE schema_history (revision text)", "CREATE TABLE alembic_version (v text)"
    )
    execute(release.url("app"), "INSERT INTO schema_history VALUES ('made before the script knew')")

    for _ in range(2):
        done = release.reconcile()
        assert (done.returncode, done.stderr) == (0, "")

    for table in ("schema_history", "alembic_version"):
        execute(release.url("app"), f"SELECT * FROM {table}")  # noqa: S608 - a name from above
        for statement in (f"INSERT INTO {table} VALUES ('x')", f"DELETE FROM {table}", f"TRUNCATE {table}"):  # noqa: S608
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                execute(release.url("app"), statement)


def test_nobody_sees_another_database(release: Release, server: Server, folder: Path) -> None:
    other = Release(server.url, folder / "other")
    assert other.reconcile().returncode == 0

    for role in ("app", "owner"):
        for database in (other.service, "postgres", "template1"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
                execute(release.url(role, database=database), "SELECT 1")


def test_roles_cannot_log_in_and_the_second_logins_are_not_there_yet(release: Release) -> None:
    name = release.service
    query = f"SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE '{name}%' ORDER BY 1"  # noqa: S608 - a name of our own
    (rows,) = execute(release.admin, query)

    assert [tuple(row) for row in rows] == [
        (f"{name}_app", False),
        (f"{name}_app_a", True),
        (f"{name}_owner", False),
        (f"{name}_owner_a", True),
    ]


def test_what_a_login_makes_belongs_to_the_role(release: Release) -> None:
    execute(release.url("owner"), "CREATE TABLE things (id int)")

    owner = execute(release.url("owner"), "SELECT tableowner FROM pg_tables WHERE tablename = 'things'")

    assert owner == [[(f"{release.service}_owner",)]]


def test_a_second_run_changes_nothing(release: Release) -> None:
    state = """SELECT pg_get_userbyid(d.datdba), d.datacl::text, n.nspacl::text
                 FROM pg_database d, pg_namespace n
                WHERE d.datname = current_database() AND n.nspname = 'public'"""
    grants = "SELECT defaclrole, defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1, 2, 3"
    roles = "SELECT oid, rolname, rolcanlogin FROM pg_roles ORDER BY 1"
    items = with_database(release.admin, release.service)
    before = execute(items, state, grants, roles)

    done = release.reconcile()

    assert (done.returncode, done.stderr) == (0, "")
    assert execute(items, state, grants, roles) == before


async def test_a_rotation_waits_for_old_sessions_and_ends_the_old_logins(release: Release) -> None:
    old = await asyncpg.connect(release.url("app"))  # a pod from before the rotation
    release.passwords("second")
    with ThreadPoolExecutor(1) as pool:
        running = asyncio.get_running_loop().run_in_executor(pool, release.reconcile, "b")
        new = await until_login(release.url("app", "b", "second"))
        await asyncio.sleep(QUIET_SECONDS + 1)

        assert not running.done()
        assert await old.fetchval("SELECT 1") == 1  # no error on the old side while it lasts
        another = await asyncpg.connect(release.url("app"))  # its pool may still grow
        await another.close()
        await old.close()
        done = await running

    assert done.returncode == 0, done.stderr
    assert await new.fetchval("SELECT 1") == 1
    await new.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(release.url("app"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(release.url("owner"))


async def until_login(url: str) -> asyncpg.Connection:
    """What a new pod does: try until the login is there."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await asyncpg.connect(url)
            except asyncpg.PostgresError:
                await asyncio.sleep(0.1)


async def test_a_login_that_stays_in_use_is_left_enabled_with_a_reason(release: Release) -> None:
    old = await asyncpg.connect(release.url("app"), server_settings={"application_name": "straggler"})
    release.passwords("second")

    done = await asyncio.to_thread(release.reconcile, "b", 4)

    assert done.returncode == 1
    assert "There are still 1 sessions after 4s" in done.stderr
    assert f"'{release.service}_app_a', '{release.service}_owner_a' stay enabled" in done.stderr
    assert "straggler" in done.stderr
    await old.close()
    execute(release.url("app"), "SELECT 1")
    execute(release.url("app", "b", "second"), "SELECT 1")


def test_a_third_rotation_uses_the_first_logins_again(release: Release) -> None:
    for slot, word in (("b", "second"), ("a", "third")):
        release.passwords(word)
        assert release.reconcile(slot).returncode == 0

    execute(release.url("owner", "a", "third"), "CREATE TABLE later (id int)")
    assert execute(release.url("app", "a", "third"), "SELECT count(*) FROM later") == [[(0,)]]
    with pytest.raises(asyncpg.InvalidPasswordError):
        execute(release.url("app", "b", "second"), "SELECT 1")


def test_an_administrator_who_is_no_superuser_will_do(server: Server, folder: Path) -> None:
    execute(
        server.url,
        "CREATE ROLE manager LOGIN CREATEDB CREATEROLE PASSWORD 'manager'",
        "GRANT CONNECT ON DATABASE postgres TO manager",
    )
    release = Release(server.url.replace("postgres@", "manager:manager@"), folder, bundled="0")

    for _ in range(2):
        done = release.reconcile()
        assert (done.returncode, done.stderr) == (0, "")

    execute(release.url("owner"), "CREATE TABLE things (id int)", "CREATE TABLE schema_history (revision text)")
    execute(release.url("app"), "INSERT INTO things VALUES (1)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(release.url("app"), "DROP TABLE things")
    assert release.reconcile().returncode == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(release.url("app"), "DELETE FROM schema_history")


def test_other_databases_of_an_external_server_stay_as_they_are(server: Server, folder: Path) -> None:
    query = "SELECT datname, datacl::text FROM pg_database WHERE datname IN ('postgres', 'template1') ORDER BY 1"
    before = execute(server.url, query)

    assert Release(server.url, folder, bundled="0").reconcile().returncode == 0

    assert execute(server.url, query) == before


@pytest.mark.parametrize("fault", ["missing", "empty"])
def test_a_password_that_is_not_there_is_told_before_anything_is_done(release: Release, fault: str) -> None:
    file = release.secrets / release.service / "app-password"
    file.unlink()
    if fault == "empty":
        file.touch()

    done = release.reconcile()

    assert done.returncode == 1
    assert f"{file} is empty or cannot be read." in done.stderr
    execute(release.url("app"), "SELECT 1")


def test_a_refused_administrator_is_told_at_once(release: Release) -> None:
    release.admin = release.url("app", word="wrong")

    done = release.reconcile()

    assert done.returncode == 1
    assert "Postgres refuses the administrator:" in done.stderr


def test_a_silent_server_is_waited_for_until_the_deadline(release: Release) -> None:
    release.admin = "postgresql://postgres@127.0.0.1:1/postgres"

    done = release.reconcile(deadline=2)

    assert done.returncode == 1
    assert "Postgres did not answer within 2s:" in done.stderr


@pytest.fixture
def watched(release: Release) -> Release:
    """The same with a login for whoever watches."""
    release.monitor = "1"
    done = release.reconcile()
    assert (done.returncode, done.stderr) == (0, "")
    return release


async def test_who_watches_sees_what_others_do_and_none_of_their_rows(watched: Release) -> None:
    execute(watched.url("owner"), "CREATE TABLE things (id int)")
    other = await asyncpg.connect(watched.url("app"))
    await other.fetch("SELECT 42 AS seen FROM things")
    monitor = await asyncpg.connect(watched.watching())

    activity = f"SELECT query FROM pg_stat_activity WHERE usename = '{watched.service}_app_a'"  # noqa: S608
    assert await monitor.fetchval(activity) == "SELECT 42 AS seen FROM things"
    assert await monitor.fetchval(f"SELECT pg_database_size('{watched.service}')") > 0
    assert not await monitor.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    for statement in (
        "CREATE TABLE mine (id int)",
        "CREATE ROLE mine",
        f"SET ROLE {watched.service}_owner",
        "SELECT rolpassword FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await monitor.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(watched.watching(database=watched.service))
    await monitor.close()
    await other.close()


async def test_who_watches_takes_no_more_connections_than_are_counted(watched: Release) -> None:
    held = [await asyncpg.connect(watched.watching()) for _ in range(3)]

    with pytest.raises(asyncpg.TooManyConnectionsError):
        await asyncpg.connect(watched.watching())

    for connection in held:
        await connection.close()


def test_the_password_of_who_watches_follows_a_rotation(watched: Release) -> None:
    watched.passwords("second")
    assert watched.reconcile("b").returncode == 0

    execute(watched.watching("second"), "SELECT 1")
    with pytest.raises(asyncpg.InvalidPasswordError):
        execute(watched.watching("first"), "SELECT 1")


def test_nobody_watches_any_more_where_that_is_off(watched: Release) -> None:
    watched.monitor = "0"

    assert watched.reconcile().returncode == 0

    with pytest.raises(asyncpg.InvalidPasswordError):
        execute(watched.watching(), "SELECT 1")


def test_a_role_of_that_name_on_a_server_of_somebody_elses_stays_as_it_is(watched: Release) -> None:
    watched.bundled, watched.monitor = "0", "0"

    assert watched.reconcile().returncode == 0

    execute(watched.watching(), "SELECT 1")


def test_a_server_that_no_service_uses_gets_a_login_that_watches(watched: Release) -> None:
    watched.passwords("third")
    service, watched.service = watched.service, ""

    done = watched.reconcile()

    watched.service = service
    assert (done.returncode, done.stderr) == (0, "")
    execute(watched.watching("third"), "SELECT 1")


def test_a_missing_password_of_who_watches_is_told(watched: Release) -> None:
    (watched.secrets / "monitor-password").unlink()

    done = watched.reconcile()

    assert done.returncode == 1
    assert "monitor-password is empty or cannot be read." in done.stderr

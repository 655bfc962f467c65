"""The start script of Postgres with a real Postgres."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from tests.charts.processes import FILES, own, run, started, stop
from tests.support.servers import execute, free_port

START = FILES / "postgres" / "start.sh"
QUOTED = "it's a password"


class Pod:
    """What the pod gives the script: a volume, a configuration, a password."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.data = folder / "volume" / "postgres"
        self.log = folder / "log"
        config = folder / "config"
        config.mkdir()
        (folder / "volume").mkdir()
        (config / "pg_hba.conf").write_text((FILES / "postgres" / "pg_hba.conf").read_text())
        (config / "postgresql.conf").write_text(
            f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{folder}'\n"
        )
        self.password(QUOTED)
        own(folder)

    def password(self, text: str) -> None:
        """What the Secret says from now on."""
        (self.folder / "password").write_text(text)

    def env(self) -> dict[str, str]:
        """The variables of the container."""
        return {
            "PGDATA": str(self.data),
            "CONFIG_DIR": str(self.folder / "config"),
            "PASSWORD_FILE": str(self.folder / "password"),
        }

    def url(self, password: str = "it%27s%20a%20password") -> str:
        """The administrator's URL."""
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"

    def answers(self, password: str = "it%27s%20a%20password") -> Callable[[], bool]:
        """Whether the server lets the administrator in."""

        def ask() -> bool:
            try:
                execute(self.url(password), "SELECT 1")
            except (OSError, TimeoutError, asyncpg.PostgresError):
                return False
            return True

        return ask


@pytest.fixture
def pod(folder: Path) -> Pod:
    """A pod on an empty volume."""
    return Pod(folder)


def test_an_empty_volume_becomes_a_server_that_asks_for_the_password(pod: Pod) -> None:
    with started(START, pod.log, pod.answers(), pod.env()):
        with pytest.raises(asyncpg.InvalidPasswordError):
            execute(pod.url("wrong"), "SELECT 1")
        ((settings,),) = execute(pod.url(), "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database LIMIT 1")

        ((checksums,),) = execute(pod.url(), "SHOW data_checksums")

    assert tuple(settings) == ("UTF8", "C.UTF-8")
    assert tuple(checksums) == ("on",)
    assert QUOTED not in pod.log.read_text()


async def test_sigterm_ends_open_sessions_and_writes_everything_down(pod: Pod) -> None:
    with started(START, pod.log, pod.answers(), pod.env()) as server:
        session = await asyncpg.connect(pod.url())
        await session.execute("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)")

        assert await asyncio.to_thread(stop, server) == 0
    assert "database system is shut down" in pod.log.read_text()

    with started(START, pod.log, pod.answers(), pod.env()):
        assert execute(pod.url(), "SELECT id FROM kept") == [[(1,)]]
    assert "was not properly shut down" not in pod.log.read_text()


def test_rows_survive_a_kill(pod: Pod) -> None:
    with started(START, pod.log, pod.answers(), pod.env()) as server:
        execute(pod.url(), "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")
        postmaster = int((pod.data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        assert server.wait(60) != 0  # the container ends with its server

    with started(START, pod.log, pod.answers(), pod.env()):
        assert execute(pod.url(), "SELECT id FROM kept") == [[(1,)]]


def test_sigterm_ends_a_recovery_that_takes_long(pod: Pod) -> None:
    with started(START, pod.log, pod.answers(), pod.env()):
        pass
    begun = pod.folder / "begun"
    with (pod.folder / "config" / "postgresql.conf").open("a") as config:
        config.write(f"restore_command = 'touch {begun}; exec sleep 90 >/dev/null 2>&1'\n")
    own_file(pod.data / "recovery.signal")

    with started(START, pod.log, begun.exists, pod.env()) as server:
        recovering = abs(int((pod.data / "postmaster.pid").read_text().split()[0]))
        assert Path(f"/proc/{recovering}").exists()

        # the server's own, as the kubelet's SIGKILL would leave it two minutes later; or the shell's, where the server
        # was gone before it could be asked for its status
        assert stop(server) in {137, 143}  # which raises where it takes half as long as the recovery

    assert not Path(f"/proc/{recovering}").exists()
    (pod.data / "recovery.signal").unlink()
    with started(START, pod.log, pod.answers(), pod.env()):
        execute(pod.url(), "SELECT 1")


def test_the_password_follows_the_secret_at_the_next_start(pod: Pod) -> None:
    with started(START, pod.log, pod.answers(), pod.env()):
        pass
    pod.password("another")

    with started(START, pod.log, pod.answers("another"), pod.env()), pytest.raises(asyncpg.InvalidPasswordError):
        execute(pod.url(), "SELECT 1")


def test_a_first_start_that_was_cut_off_is_begun_again(pod: Pod) -> None:
    half = own_folder(pod.data.with_name("postgres.new"))
    (half / "PG_VERSION").write_text("15")

    with started(START, pod.log, pod.answers(), pod.env()):
        assert execute(pod.url(), "SELECT 1") == [[(1,)]]


def test_a_volume_opened_by_its_group_is_closed_again(pod: Pod) -> None:
    with started(START, pod.log, pod.answers(), pod.env()):
        pass
    pod.data.chmod(0o2770)  # as fsGroup leaves it

    with started(START, pod.log, pod.answers(), pod.env()):
        assert pod.data.stat().st_mode & 0o777 == 0o700


def test_data_of_another_version_are_left_alone_with_a_sentence(pod: Pod) -> None:
    data = own_folder(pod.data)
    (data / "PG_VERSION").write_text("9\n")

    done = run(START, pod.env())

    assert done.returncode == 1
    assert "are of Postgres 9 and this image is Postgres" in done.stderr
    assert "set postgres.image.tag to 9" in done.stderr
    assert [p.name for p in data.iterdir()] == ["PG_VERSION"]


def own_file(file: Path) -> None:
    """A new file of the server's user."""
    file.touch()
    own(file)


def own_folder(folder: Path) -> Path:
    """A new folder of the server's user."""
    folder.mkdir()
    return own(folder)

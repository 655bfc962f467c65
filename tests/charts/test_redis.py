"""The start script of both Redis with a real Redis."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.charts.chart import Objects
from tests.charts.processes import FILES, own, run, started, stop
from tests.support.servers import free_port

START = FILES / "redis" / "start.sh"
READY = FILES / "redis" / "ready.sh"
DURABLE = {"appendonly": "yes", "appendfsync": "everysec"}
"""What a running server must say, or a power cut takes more than a second or two."""
PASSWORD = 'with "quotes" and \\'


class Pod:
    """What the pod gives the script, by the configuration that the chart renders."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "run").mkdir()
        (folder / "password").write_text(PASSWORD)
        config = config.replace("port 6379", f"port {self.port}").replace("dir /", f"dir {folder}/")
        (folder / "redis.conf").write_text(config)
        own(folder)

    def env(self) -> dict[str, str]:
        """The variables of the container."""
        return {
            "CONFIG_FILE": str(self.folder / "redis.conf"),
            "PASSWORD_FILE": str(self.folder / "password"),
            "RUN_DIR": str(self.folder / "run"),
            "PORT": str(self.port),
        }

    def client(self, password: str | None = PASSWORD) -> redis.Redis:
        """A connection to it."""
        return redis.Redis(port=self.port, password=password, decode_responses=True, socket_timeout=30)

    @contextmanager
    def up(self) -> Iterator[redis.Redis]:
        """The server, for as long as the block lasts."""
        with started(START, self.folder / "log", self.ready, self.env()) as self.process, self.client() as client:
            yield client

    def written(self) -> bytes:
        """What stands in the append-only file."""
        return b"".join(file.read_bytes() for file in self.folder.rglob("*.aof"))

    def ready(self) -> bool:
        """What the probe says."""
        return run(READY, self.env()).returncode == 0


@pytest.fixture
def pod(folder: Path, dev: Objects) -> Callable[[str], Pod]:
    """A pod of the store with that name."""

    def make(store: str) -> Pod:
        return Pod(folder, dev.one("ConfigMap", f"slipway-{store}")["data"]["redis.conf"])

    return make


@pytest.mark.parametrize("store", ["cache", "state"])
def test_a_password_is_asked_for_and_stands_on_no_command_line(pod: Callable[[str], Pod], store: str) -> None:
    pod_ = pod(store)
    with pod_.up():
        with pod_.client(None) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("key")
        command = Path(f"/proc/{pod_.process.pid}/cmdline").read_text()

    assert "quotes" not in command


def test_the_probe_tells_a_server_with_another_password_from_a_ready_one(pod: Callable[[str], Pod]) -> None:
    pod_ = pod("cache")
    with pod_.up():
        (pod_.folder / "password").write_text("another")

        assert not pod_.ready()


def test_the_state_survives_a_kill(pod: Callable[[str], Pod]) -> None:
    pod_ = pod("state")
    with pod_.up() as client:
        assert client.config_get("append*").items() >= DURABLE.items()
        client.set("state:revoked:1", "yes", ex=600)
        assert b"state:revoked:1" in pod_.written()  # before the answer, and on disk within a second or two
        pod_.process.kill()
        pod_.process.wait()

    with pod_.up() as client:
        assert client.get("state:revoked:1") == "yes"


def test_the_state_survives_an_orderly_end(pod: Callable[[str], Pod]) -> None:
    pod_ = pod("state")
    with pod_.up() as client:
        client.set("state:revoked:1", "yes", ex=600)
        assert stop(pod_.process) == 0

    with pod_.up() as client:
        assert client.get("state:revoked:1") == "yes"


def test_the_cache_forgets(pod: Callable[[str], Pod]) -> None:
    pod_ = pod("cache")
    with pod_.up() as client:
        client.set("items:item:1", "{}", ex=600)

    with pod_.up() as client:
        assert client.get("items:item:1") is None


def test_a_full_state_refuses(pod: Callable[[str], Pod]) -> None:
    with pod("state").up() as client:
        client.config_set("maxmemory", "3mb")
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            fill(client)


def test_a_full_cache_evicts(pod: Callable[[str], Pod]) -> None:
    with pod("cache").up() as client:
        client.config_set("maxmemory", "3mb")
        fill(client)

        assert client.info("stats")["evicted_keys"] > 0


def fill(client: redis.Redis) -> None:
    """Write ten times what fits."""
    for number in range(300):
        client.set(f"test:filling:{number}", "x" * 100_000, ex=600)

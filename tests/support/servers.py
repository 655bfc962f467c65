"""Real Postgres and Redis servers on free ports, gone when the tests are, however these end."""

import ctypes
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import redis

from tests.support.databases import execute, in_a_thread, new_database, with_database, with_login

__all__ = [
    "Server",
    "execute",
    "free_port",
    "given_url",
    "new_database",
    "postgres_server",
    "program",
    "redis_server",
    "user",
    "with_database",
    "with_login",
]

PORTS = (10_000, 31_000)
START_SECONDS = 90
STOP_SECONDS = 30
UNPRIVILEGED = ("postgres", "redis", "nobody")
PR_SET_PDEATHSIG = 1


def free_port(beside: tuple[int, ...] = ()) -> int:
    """A port that was free a moment ago, as were those at these distances from it.

    Below the range from which the kernel serves outgoing connections: one of those may take a port at any time.
    """
    while True:
        port = random.randrange(*PORTS)
        with ExitStack() as stack:
            try:
                for distance in (0, *beside):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + distance))
            except OSError:
                continue
            return port


def given_url(variable: str) -> str:
    """The server that a variable names; of several, with spaces between, one for each of pytest-xdist's workers."""
    urls = os.environ[variable].split()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return urls[int(worker.removeprefix("gw")) % len(urls)]


def program(name: str) -> str:
    """The path of a server's program. Raises FileNotFoundError with what would help."""
    found = shutil.which(name)
    if found:
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    if not versions:
        raise FileNotFoundError(f"{name} is not installed; `make packages` installs it")
    return str(versions[-1])


def user() -> str | None:
    """Whom to run as: Postgres refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


@dataclass
class Server:
    """One server process that a test may stop, start, kill and pause."""

    url: str
    command: list[str]
    folder: Path
    is_up: Callable[[str], bool]
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "log"

    def start(self) -> None:
        """Start and wait until it answers. Raises TimeoutError with the end of its log."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C in a terminal is for the tests, which then end it in order
                user=user(),
                extra_groups=[] if user() else None,
                preexec_fn=partial(_die_with, os.getpid()),  # noqa: PLW1509 - the tests start servers from one thread
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_up(self.url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"{self.command[0]} did not start; its log ends:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it and wait, cutting its clients; a server that does not go is killed."""
        if self.process is None:
            return
        self.resume()
        self.process.send_signal(signal.SIGINT)  # Postgres: fast shutdown
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """End it and its children without a goodbye."""
        if self.process is not None:
            with suppress(OSError):  # it has ended by itself
                for child in self._family()[1:]:
                    os.kill(child, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Silence it without closing anything: connections hang, as those of a lost machine do."""
        for pid in self._family():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Wake it after `pause`."""
        for pid in self._family():
            with suppress(ProcessLookupError):  # woken, one may end at once
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def stopped(self) -> Generator[None]:
        """Away for as long as the block lasts; connections are closed."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def paused(self) -> Generator[None]:
        """Silent for as long as the block lasts; connections stay open."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def _family(self) -> list[int]:
        if self.process is None:
            return []
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]


def _die_with(parent: int) -> None:
    """Have the kernel end this child when the tests end, even by SIGKILL (prctl(2), Linux only).

    SIGTERM would not do: Postgres then waits for its clients to leave, and a server that a test has paused never hears.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)


@contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="slipway-tests-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if owner := user():
            shutil.chown(folder, owner)
        yield folder


@contextmanager
def postgres_server(*settings: str, certificate: tuple[Path, Path] | None = None) -> Generator[Server]:
    """A new Postgres with a superuser `postgres` trusted on loopback; nothing is synced to disk.

    `settings`, such as `synchronous_commit=on`, win over its own. With a certificate and its key it offers TLS.
    """
    with _folder() as folder:
        data, port = folder / "data", free_port()
        initdb = [
            program("initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        ]
        done = subprocess.run(
            [*initdb, "--locale=C"],
            user=user(),
            extra_groups=[] if user() else None,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr}")
        command = [
            program("postgres"),
            "-D",
            str(data),
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            str(folder),
        ]
        own = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")
        for setting in (*own, *settings):
            command += ["-c", setting]
        if certificate:
            command += ["-c", "ssl=on", *_tls_options(certificate, folder)]
        server = Server(f"postgresql://postgres@127.0.0.1:{port}/postgres", command, folder, _postgres_is_up)
        yield from _running(server)


def _tls_options(certificate: tuple[Path, Path], folder: Path) -> list[str]:
    """Copies of the files that the server's user may read, as options."""
    options = []
    for name, source in zip(("cert", "key"), certificate, strict=True):
        copied = Path(shutil.copy(source, folder))
        copied.chmod(0o600)
        if owner := user():
            shutil.chown(copied, owner)
        options += ["-c", f"ssl_{name}_file={copied}"]
    return options


@contextmanager
def redis_server(*options: str) -> Generator[Server]:
    """A new Redis that keeps nothing on disk."""
    with _folder() as folder:
        port = free_port()
        command = [
            program("redis-server"),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            *options,
        ]
        yield from _running(Server(f"redis://127.0.0.1:{port}/0", command, folder, _redis_is_up))


def _running(server: Server) -> Generator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _postgres_is_up(url: str) -> bool:
    async def ask() -> None:
        connection = await asyncpg.connect(url, timeout=10)
        await connection.close()

    try:
        in_a_thread(ask)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    return True


def _redis_is_up(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=10, retry=None)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()

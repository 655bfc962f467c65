"""Starting what is measured, on its core, and what it needs, on the others."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.machine import cores
from tests.bench.questions import InvalidRunError
from tests.bench.runner import ROOT, search_path
from tests.bench.usage import family, listening
from tests.support.servers import free_port

START_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Running:
    """A process that was started, where it listens, and where it writes."""

    popen: "subprocess.Popen[bytes]"
    port: int
    folder: Path
    management: int = 0
    """Where a service tells its metrics."""

    def pids(self) -> list[int]:
        """Its process; whoever asks adds its children."""
        return [self.popen.pid]

    @property
    def log(self) -> str:
        """The end of what it wrote."""
        return (self.folder / "log").read_text(errors="replace")[-2000:]


@contextmanager
def process(
    command: Callable[[Path, int], Sequence[str]],
    *,
    env: Mapping[str, str] | None = None,
    measured: bool = True,
    is_up: Callable[[int], bool] | None = None,
    on: set[int] | None = None,
) -> Generator[Running]:
    """Start a command, told its folder and port, and wait until it is up; ended, children included, with the block.

    It runs on the server's core if it is `measured`, else on the others; or on those that `on` names.
    Raises InvalidRunError with the end of its log when it does not come up.
    """
    is_up = is_up or listens
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        if listens(port):  # else we would measure whoever it is
            raise InvalidRunError(f"port {port} was free a moment ago, and now somebody listens there")
        folder.chmod(0o755)  # nginx reads it as another user
        words = list(command(folder, port))
        where = on or ({cores().server} if measured else set(cores().others))
        full = {"PATH": search_path(), "HOME": name, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})}
        with (folder / "log").open("wb") as out:
            popen = subprocess.Popen(
                cores().pinned(words, where),
                env=full, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True,
            )  # fmt: skip
        running = Running(popen, port, folder)
        try:
            _wait(running, is_up)
            yield running
        finally:
            _end(popen)


def _wait(running: Running, is_up: Callable[[int], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        up = is_up(running.port) and listening(family(*running.pids()), running.port)
        code = running.popen.poll()
        if code is not None:
            raise InvalidRunError(f"{running.popen.args!r} ended with code {code}; its log ends: {running.log}")
        if up:
            return
        if time.monotonic() > deadline:
            raise InvalidRunError(
                f"{running.popen.args!r} was not up after {START_SECONDS:.0f} s; its log ends: {running.log}"
            )
        time.sleep(0.02)


def _end(popen: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, and SIGKILL to its whole group for who does not hear it."""
    popen.terminate()
    with suppress(subprocess.TimeoutExpired):
        popen.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(popen.pid, signal.SIGKILL)
    popen.wait()


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def service(module: str, env: Mapping[str, str], *, measured: bool = True) -> Generator[Running]:
    """`python -m module serve`, ready, with these variables alone."""
    management = free_port()

    def command(_: Path, port: int) -> list[str]:
        return ["env", f"PORT={port}", f"MANAGEMENT_PORT={management}", sys.executable, "-m", module, "serve"]

    def is_ready(port: int) -> bool:
        return listens(port) and _ready(management)

    with process(command, env={"HOST": "127.0.0.1", **env}, measured=measured, is_up=is_ready) as running:
        yield replace(running, management=management)


def _ready(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        try:
            probe.connect(("127.0.0.1", port))
            probe.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return b" 200 " in probe.recv(4096).split(b"\r\n", 1)[0]
        except OSError:
            return False


@contextmanager
def uvicorn(
    app: str, *options: str, env: Mapping[str, str] | None = None, on: set[int] | None = None
) -> Generator[Running]:
    """An ASGI application of `tests/bench/apps` under plain uvicorn, without its access log."""

    def command(_: Path, port: int) -> list[str]:
        words = [sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port)]
        return [*words, "--no-access-log", "--log-level", "warning", *options]

    with process(command, env=env, on=on) as running:
        yield running

"""The chart's start scripts run as the pods run them, on loopback."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from tests.charts.chart import CHART
from tests.support.servers import program, user

FILES = CHART / "files"
START_SECONDS = 90
STOP_SECONDS = 45
RUN_SECONDS = 180


def path() -> str:
    """A PATH on which the servers' programs are, as in their images."""
    folders = {str(Path(program(name)).parent) for name in ("initdb", "psql", "redis-server")}
    return os.pathsep.join(["/usr/lib/postgresql/15/bin", *sorted(folders), "/usr/bin", "/bin"])


def own(folder: Path) -> Path:
    """Give a folder and all in it to the user that the servers run as."""
    if name := user():
        for each in [folder, *folder.rglob("*")]:
            shutil.chown(each, name)
    return folder


def run(script: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script of the chart to its end."""
    return subprocess.run(
        ["/bin/sh", str(script)],
        env={"PATH": path(), **env},
        user=user(),
        extra_groups=[] if user() else None,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


@contextmanager
def started(
    script: Path, log: Path, ready: Callable[[], bool], env: dict[str, str]
) -> Generator[subprocess.Popen[bytes]]:
    """A server started by a script; ended, with all that it started, when the block is.

    Raises TimeoutError with its log when it is not ready in time.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["/bin/sh", str(script)],
            env={"PATH": path(), **env},
            user=user(),
            extra_groups=[] if user() else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"{script} brought up no server; its log:\n{log.read_text()}")
            time.sleep(0.05)
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    """Signal the script as the kubelet does, and wait for its exit code."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    return process.returncode

"""Services in processes of their own, as in their containers."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.support.servers import free_port

START_SECONDS = 90
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Process:
    """A service in a process of its own, as in its container."""

    popen: subprocess.Popen[bytes]
    port: int
    management_port: int
    log_file: Path

    @property
    def url(self) -> str:
        """Where it answers requests."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def management_url(self) -> str:
        """Where /livez, /readyz and /metrics are."""
        return f"http://127.0.0.1:{self.management_port}"

    @property
    def log(self) -> str:
        """All that it has written."""
        return self.log_file.read_text(errors="replace")

    def terminate(self) -> None:
        """Ask it to drain."""
        self.popen.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 60) -> int:
        """Its exit code. Raises TimeoutError with its log."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"still running after {seconds} s; its log ends:\n{self.log[-3000:]}") from None


@contextmanager
def service_process(
    module: str, env: Mapping[str, str], *, arguments: tuple[str, ...] = ("serve",), wait_ready: bool = True
) -> Generator[Process]:
    """`python -m module serve` with only these variables, ready; killed at the end if it is still there."""
    with tempfile.TemporaryDirectory(prefix="slipway-process-") as folder:
        log_file = Path(folder) / "log"
        ports = {"HOST": "127.0.0.1", "PORT": str(free_port()), "MANAGEMENT_PORT": str(free_port())}
        full = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **ports, **env}
        with log_file.open("wb") as out:
            popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], env=full, stdout=out, stderr=out, cwd=folder
            )
        process = Process(popen, int(full["PORT"]), int(full["MANAGEMENT_PORT"]), log_file)
        try:
            if wait_ready:
                wait_until_ready(process.management_url, popen, lambda: process.log)
            yield process
        finally:
            popen.kill()
            popen.wait()


def wait_until_ready(management_url: str, popen: subprocess.Popen[bytes], log: Callable[[], str]) -> None:
    """Return once /readyz says 200. Raises TimeoutError with the last answer and the log, when the process ends too."""
    deadline = time.monotonic() + START_SECONDS
    last = "no answer"
    while time.monotonic() < deadline and popen.poll() is None:
        try:
            answer = httpx2.get(f"{management_url}/readyz", timeout=10)
        except httpx2.HTTPError as error:
            last = repr(error)
        else:
            if answer.status_code == httpx2.codes.OK:
                return
            last = answer.text
        time.sleep(0.05)
    raise TimeoutError(f"not ready: {last}; exit code {popen.poll()}; its log:\n{log()[-5000:]}")

"""Talk HTTP to an application over a real socket: in this process, or in one of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from services.common.server import listen, server_config
from tests.support.servers import free_port

START_SECONDS = 20
ROOT = Path(__file__).resolve().parents[2]


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals stay with pytest."""
        yield


@asynccontextmanager
async def app_client(app: ASGIApp, **options: object) -> AsyncGenerator[httpx2.AsyncClient]:
    """The app with its lifespan running behind a real uvicorn socket; yields a client for it."""
    listener = listen("127.0.0.1", 0)
    registry = app.state.registry if isinstance(app, FastAPI) else CollectorRegistry()
    config = server_config(app, registry=registry, shutdown_seconds=5)
    server = _Server(config)
    task = asyncio.create_task(_serve(server, listener))
    try:
        async with asyncio.timeout(START_SECONDS):
            while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
        if task.done():
            await task
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=base_url, timeout=10, **options) as client:  # type: ignore[arg-type]
            yield client
    finally:
        server.should_exit = True
        await task  # raises what the start or the end of the lifespan raised


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        await server.serve(sockets=[listener])
    except SystemExit as error:  # uvicorn's way to say that the lifespan failed; it must not end the tests
        raise RuntimeError("the application's lifespan failed; the captured log tells why") from error


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

    def wait(self, seconds: float = 20) -> int:
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
                wait_until_ready(process)
            yield process
        finally:
            popen.kill()
            popen.wait()


def wait_until_ready(process: Process, seconds: float = START_SECONDS) -> None:
    """Return once /readyz says 200. Raises TimeoutError with the last answer and the log."""
    deadline = time.monotonic() + seconds
    last = "no answer"
    while time.monotonic() < deadline and process.popen.poll() is None:
        try:
            answer = httpx2.get(f"{process.management_url}/readyz", timeout=2)
        except httpx2.HTTPError as error:
            last = repr(error)
        else:
            if answer.status_code == 200:
                return
            last = answer.text
        time.sleep(0.05)
    raise TimeoutError(f"not ready: {last}; exit code {process.popen.poll()}; its log:\n{process.log[-5000:]}")

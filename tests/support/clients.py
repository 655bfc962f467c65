"""Talk HTTP to an application of this process over a real socket."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import httpx2
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from services.common.server import listen, server_config
from tests.support.processes import ROOT, Process, service_process

__all__ = ["ROOT", "Process", "app_client", "service_process", "until_ready"]

START_SECONDS = 60


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals stay with pytest."""
        yield


@asynccontextmanager
async def app_client(app: ASGIApp, *, port: int = 0, **options: object) -> AsyncGenerator[httpx2.AsyncClient]:
    """The app with its lifespan running behind a real uvicorn socket; yields a client for it."""
    listener = listen("127.0.0.1", port)
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
        async with httpx2.AsyncClient(base_url=base_url, timeout=30, **options) as client:  # type: ignore[arg-type]
            yield client
    finally:
        server.should_exit = True
        with listener:  # a server that could not start leaves it open
            await task  # raises what the start or the end of the lifespan raised


async def until_ready(app: FastAPI) -> None:
    """Return once the application's readiness checks have passed. Raises TimeoutError."""
    async with asyncio.timeout(START_SECONDS):
        while not app.state.health.readiness().ready:
            await asyncio.sleep(0.01)
            await app.state.health.check_now()


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        await server.serve(sockets=[listener])
    except SystemExit as error:  # uvicorn's way to say that the lifespan failed; it must not end the tests
        raise RuntimeError("the application's lifespan failed; the captured log tells why") from error

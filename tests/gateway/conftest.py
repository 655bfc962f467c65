"""A gateway in this process behind a real socket, and pods that do what a test tells them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from services.gateway.main import create_app
from services.gateway.routes import parse_routes
from services.gateway.settings import GatewaySettings
from tests.support.clients import app_client, until_ready
from tests.support.exchanges import exchange
from tests.support.tokens import Issuer, KeyServer

Writer = asyncio.StreamWriter
Script = Callable[[Any, Writer], Awaitable[None]]

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class Pod:
    """A server that is a pod: counts its connections, keeps what it was asked, and answers by its script."""

    script: Script
    port: int = 0
    opened: int = 0
    closed: int = 0
    heads: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.opened += 1
        try:
            await self.script(Recording(reader, self.heads), writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the end of the pod, or of the gateway's patience
        finally:
            writer.close()
            self.closed += 1


class Recording:
    """Reads, and keeps every head."""

    def __init__(self, reader: asyncio.StreamReader, heads: list[bytes]) -> None:
        self._reader = reader
        self._heads = heads

    async def head(self) -> bytes:
        head = await self._reader.readuntil(b"\r\n\r\n")
        self._heads.append(head)
        return head

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


@asynccontextmanager
async def pod(script: Script, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[Pod]:
    """A pod for as long as the block lasts; connections that are open at its end are cut."""
    standing = Pod(script)
    server = await asyncio.start_server(standing.serve, host, port, limit=1 << 20)
    standing.port = server.sockets[0].getsockname()[1]
    try:
        yield standing
    finally:
        server.close()
        for task in asyncio.all_tasks():
            if "Pod.serve" in repr(task.get_coro()):
                task.cancel()
        await asyncio.sleep(0)


def answering(answer: bytes = ANSWER) -> Script:
    """A pod that answers every request of a connection alike."""

    async def script(reader: Any, writer: Writer) -> None:
        while True:
            await reader.head()
            writer.write(answer)

    return script


@dataclass
class Gateway:
    """The gateway under test."""

    app: FastAPI
    client: httpx2.AsyncClient

    @property
    def port(self) -> int:
        return int(self.client.base_url.port or 0)

    def sample(self, name: str, **labels: str) -> float:
        return self.app.state.registry.get_sample_value(name, labels) or 0

    async def exchange(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send raw bytes, then read until the gateway closes, which it must do within a bound."""
        return await exchange(self.port, *parts, pause=pause)


MakeGateway = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture(scope="session")
def make_gateway(issuer: Issuer, jwks: KeyServer) -> MakeGateway:
    """Starts gateways, by their routes and settings; routes are public and without limits unless they say no."""

    @asynccontextmanager
    async def make(
        routes: dict[str, Any], *, resolve: Any = None, wait_ready: bool = True, **changes: Any
    ) -> AsyncGenerator[Gateway]:
        table = {path: {"public": True, "limits": [], **_fields(entry)} for path, entry in routes.items()}
        settings = GatewaySettings(
            routes=parse_routes(table),
            **{
                "issuer": issuer.issuer,
                "audience": issuer.audience,
                "jwks_url": jwks.url,
                "resolve_seconds": 0.1,
                "access_log_per_second": 1_000_000,  # the log is read after each of many
                "documents_seconds": 0,  # pods are asked for nothing but what a test asks for
                **changes,
            },
        )
        app = create_app(settings, resolve=resolve) if resolve else create_app(settings)
        async with app_client(app) as client:
            if wait_ready:
                await until_ready(app)
            yield Gateway(app, client)

    return make


def _fields(entry: Any) -> dict[str, Any]:
    return {"upstream": entry} if isinstance(entry, str) else entry


@pytest.fixture
async def recorder() -> AsyncIterator[Pod]:
    """A pod that says hello and keeps what it was asked."""
    async with pod(answering()) as standing:
        yield standing

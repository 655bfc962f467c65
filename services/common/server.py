"""The HTTP server: uvicorn, with a drain of our own on SIGTERM."""

import asyncio
import gc
import signal
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from services.common.health import Health
from services.common.protocol import BoundedProtocol
from services.common.refusals import Refusals

CLIENT_IDLE_SECONDS = 90  # the longest that a proxy in front keeps an idle connection by default: Traefik (nginx: 60)
KEEP_ALIVE_SECONDS = 120  # longer than they, so that the client is the one to close
CANCEL_SECONDS = 3.0  # for requests that were cut off to leave
POLL_SECONDS = 0.05
# libuv takes one new connection of a listening socket in a turn of the loop, and a turn of a loop that is full takes
# tens of milliseconds: of a thousand connections at once most would wait for seconds while the others are served
ACCEPTED_AT_ONCE = 16
MAX_MESSAGE_BYTES = 1024 * 1024  # of a WebSocket

log = structlog.get_logger()


class Server(uvicorn.Server):
    """Serves until told to stop, then drains: not ready, `Connection: close`, listening for `drain_seconds` more."""

    def __init__(self, config: uvicorn.Config, *, health: Health, drain_seconds: float) -> None:
        """Take the health, which is told when the server listens and of the drain."""
        super().__init__(config)
        self.health = health
        # its checks run within the lifespan, and uvicorn listens only after that has begun: who was ready in between
        # would have connections refused
        self.health.listening = False
        self.drain_seconds = drain_seconds
        self._drained_at: float | None = None

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Own SIGTERM and SIGINT to the end of the process, and end with exit code 0: a clean drain is no failure.

        Uvicorn would restore the handlers and raise the signal again.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin to drain; a second SIGINT (an impatient developer) stops at once."""
        if not self.health.draining:
            self.health.draining = True
            self._drained_at = time.monotonic() + self.drain_seconds
        elif sig == signal.SIGINT:
            self._drained_at = time.monotonic()
            self.force_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, leave what stays for good out of every later garbage collection, and only then be ready.

        Modules, routes and schemas are some hundred thousand objects. To go through them again every few thousand
        requests would stop all requests for fifty milliseconds each time.
        """
        await super().startup(None if sockets is None else [again for bound in sockets for again in _several(bound)])
        gc.collect()
        gc.freeze()
        self.health.listening = self.started

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to stop."""
        if self._drained_at is not None and time.monotonic() >= self._drained_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let requests finish within the bound, cut off the rest, and only then end the lifespan.

        Uvicorn's own does not wait for those that it cancels: resources would be closed under them.
        """
        for server in self.servers:
            server.close()
        for bound in sockets or []:
            bound.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        deadline = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        while self._at_work() and not self.force_exit and time.monotonic() < deadline:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(POLL_SECONDS)
        if running := set(self.server_state.tasks):
            log.warning("requests_cancelled", count=len(running))
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=CANCEL_SECONDS)
        await self.lifespan.shutdown()

    def _at_work(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)


def _several(bound: socket.socket) -> list[socket.socket]:
    """The same socket as often as connections are to be taken at once; each is closed with its part of the server."""
    return [bound, *(bound.dup() for _ in range(ACCEPTED_AT_ONCE - 1))]


def server_config(app: ASGIApp, *, registry: CollectorRegistry, shutdown_seconds: float = 20) -> uvicorn.Config:
    """Uvicorn's settings; what is refused before it becomes a request is counted in the registry.

    No `limit_concurrency`: it counts idle keep-alive connections, so it would refuse a gateway's warm ones. What a
    request may take is bounded where it is taken: header bytes and seconds, body bytes, the pools.
    """
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=partial(BoundedProtocol, refusals=Refusals(registry)),  # type: ignore[arg-type] # called as the class is
        ws="websockets-sansio" if takes_websockets(app) else "none",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # what is packed may be far larger than what is counted
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the client's address is decided by TRUSTED_PROXIES alone
        server_header=False,
        reset_contextvars=True,  # a pipelined request would inherit the log fields and the span of the one before
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(shutdown_seconds)),
    )


def takes_websockets(app: ASGIApp) -> bool:
    """Whether an application has said that it does."""
    return bool(getattr(getattr(app, "state", None), "websockets", False))


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything is opened, so that a port taken is said at once. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # inherited by what is accepted; without it an answer's body waits 40 ms for the client's delayed ACK
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound

"""The HTTP server: uvicorn, with a drain of our own on SIGTERM."""

import signal
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import structlog
import uvicorn
from starlette.types import ASGIApp

from services.common.health import Health
from services.common.protocol import BoundedProtocol

KEEP_ALIVE_SECONDS = 75  # longer than any client of ours keeps an idle connection, so that it is the one to close

log = structlog.get_logger()


class Server(uvicorn.Server):
    """Serves until told to stop, then drains: not ready, `Connection: close`, listening for `drain_seconds` more."""

    def __init__(self, config: uvicorn.Config, *, health: Health, drain_seconds: float) -> None:
        """Take the health, which is told of the drain."""
        super().__init__(config)
        self.health = health
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
            self.force_exit = self.should_exit

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to stop."""
        if self._drained_at is not None and time.monotonic() >= self._drained_at:
            self.should_exit = True
        return await super().on_tick(counter)


def server_config(app: ASGIApp, *, shutdown_seconds: float = 20) -> uvicorn.Config:
    """Uvicorn's settings.

    No `limit_concurrency`: it counts idle keep-alive connections, so it would refuse a gateway's warm ones. What a
    request may take is bounded where it is taken: header bytes and seconds, body bytes, the pools.
    """
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the client's address is decided by TRUSTED_PROXIES alone
        server_header=False,
        reset_contextvars=True,  # a pipelined request would inherit the log fields and the span of the one before
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(shutdown_seconds)),
    )


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

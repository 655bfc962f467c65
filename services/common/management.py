"""The management port: /livez, /readyz and /metrics from threads, so that a busy loop cannot silence them.

Operators have /log-level and /profile besides; nobody else sees that these are there.
"""

import faulthandler
import json
import socket
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from services.common.health import Health
from services.common.operations import Operations

MAX_BODY_BYTES = 1024
NOT_HERE = b"/livez, /readyz and /metrics are here\n"

log = structlog.get_logger()


class ManagementServer(ThreadingHTTPServer):
    """Serves what the application's loop has written down; asks nothing and nobody."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        *,
        health: Health,
        registry: CollectorRegistry,
        liveness_seconds: float,
        operations: Operations | None = None,
    ) -> None:
        """Bind at once; `liveness_seconds` is how long the loop may be silent."""
        self.operations = operations
        self.health = health
        self.registry = registry
        self.liveness_seconds = liveness_seconds
        self._dumped = threading.Event()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def alive(self) -> bool:
        """False once the loop has been silent for too long; then all stacks go to the log, once a silence."""
        silent = self.health.silent_seconds
        if silent < self.liveness_seconds:
            self._dumped.clear()
            return True
        if not self._dumped.is_set():
            self._dumped.set()
            log.error("loop_blocked", silent_seconds=round(silent, 1), stacks=all_stacks())
        return False

    @contextmanager
    def running(self) -> Generator[None]:
        """Serve in a thread for as long as the block lasts."""
        thread = threading.Thread(target=self.serve_forever, name="management", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()
            thread.join(timeout=5)


def all_stacks() -> str:
    """Where every thread is at this moment."""
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors="replace")


class _Handler(BaseHTTPRequestHandler):
    server: ManagementServer
    timeout: ClassVar[float] = 5  # seconds that a client may take with its request
    protocol_version = "HTTP/1.1"
    server_version = "management"
    sys_version = ""

    def do_GET(self) -> None:
        routes = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}
        route = routes.get(self.path.partition("?")[0])
        if route is None:
            self._operate(b"")
        else:
            route()

    def do_POST(self) -> None:
        self.do_PUT()

    def do_PUT(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(404, NOT_HERE)
            return
        self._operate(self.rfile.read(int(length)))

    def _operate(self, body: bytes) -> None:
        operations = self.server.operations
        authorization = self.headers.get("Authorization", "")
        reply = operations and operations.answer(self.command, self.path, authorization, body)
        if not reply:
            self._answer(404, NOT_HERE)
        else:
            self._answer(reply.status, reply.body, reply.content_type)

    def _livez(self) -> None:
        alive = self.server.alive()
        self._answer(200 if alive else 503, b"alive\n" if alive else b"the event loop does not turn\n")

    def _readyz(self) -> None:
        snapshot = self.server.health.readiness()
        body = json.dumps({"ready": snapshot.ready, "checks": dict(snapshot.checks)}).encode() + b"\n"
        self._answer(200 if snapshot.ready else 503, body, "application/json")

    def _metrics(self) -> None:
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        self._answer(200, encode(self.server.registry), content_type)

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Probes every second are not news."""

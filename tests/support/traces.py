"""A collector of traces that keeps what it is sent, and the trees that its spans make."""

import gzip
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Node:
    """A span, whose it is, and what was done for it."""

    service: str
    span: Span
    children: list["Node"] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.span.name

    def attribute(self, name: str) -> str:
        """An attribute as text; empty when it is not there."""
        found = [pair.value for pair in self.span.attributes if pair.key == name]
        return (found[0].string_value or str(found[0].int_value)) if found else ""

    def all(self) -> Generator["Node"]:
        """This and everything below it."""
        yield self
        for child in self.children:
            yield from child.all()

    def outline(self, depth: int = 0) -> str:
        """The tree, a line a span."""
        own = f"{'  ' * depth}{self.service}: {self.name}\n"
        return own + "".join(child.outline(depth + 1) for child in self.children)


class Collector(ThreadingHTTPServer):
    """Takes what OTLP exporters send."""

    daemon_threads = True

    def __init__(self) -> None:
        """Bind to a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.status = 200
        self.held = threading.Event()  # answers wait for it
        self.held.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[Span]:
        return [node.span for node in self.nodes()]

    def nodes(self) -> list[Node]:
        """Every span with its service."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            Node(_service(resource), span)
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def trees(self, trace_id: str) -> list[Node]:
        """The roots of a trace: spans whose parent is not among them; children in the order of their begin."""
        nodes = [node for node in self.nodes() if node.span.trace_id.hex() == trace_id]
        known = {node.span.span_id: node for node in nodes}
        roots: list[Node] = []
        for node in sorted(nodes, key=lambda node: node.span.start_time_unix_nano):
            parent = known.get(node.span.parent_span_id)
            (roots if parent is None else parent.children).append(node)
        return roots


def _service(resource: object) -> str:
    attributes = resource.resource.attributes  # type: ignore[attr-defined]
    return next((pair.value.string_value for pair in attributes if pair.key == "service.name"), "")


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.held.wait(60)
        if self.server.status == 200:
            self.server.bodies.append(body)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextmanager
def serving() -> Generator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.held.set()
        server.shutdown()
        thread.join(timeout=5)

"""A small collector of traces for the local cluster: `serve` keeps the last spans in memory, `show ID` prints a tree.

One file on the standard library and opentelemetry-proto, which every image of a service has: `make up` mounts it into a
pod of the image of items. No service needs it; a real installation has Jaeger or another OTLP backend in its place.
"""

import argparse
import gzip
import json
import sys
import threading
import urllib.error
import urllib.request
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Span = dict[str, Any]

PORT = 4318  # OTLP over HTTP
KEPT = 20_000  # spans
MAX_BODY_BYTES = 8 * 1024 * 1024
SHORTEST_ID = 8  # of an id that is looked for by its beginning
REQUEST_ID, ROUTE, STATUS = "request.id", "http.route", "http.response.status_code"


class Store:
    """The last spans, whoever sent them."""

    def __init__(self, kept: int = KEPT) -> None:
        """Keep at most so many."""
        self._spans: deque[Span] = deque(maxlen=kept)
        self._lock = threading.Lock()

    def add(self, spans: Iterable[Span]) -> None:
        """Keep these; the oldest give way."""
        with self._lock:
            self._spans.extend(spans)

    def trace(self, wanted: str) -> list[Span]:
        """The spans of the traces with this id, or with a request of this id; what begins with it will do."""
        wanted = wanted.strip()
        if len(wanted) < SHORTEST_ID:
            return []
        with self._lock:
            spans = list(self._spans)
        ids = {
            span["trace"]
            for span in spans
            if span["trace"].startswith(wanted.lower())
            or str(span["attributes"].get(REQUEST_ID, "")).startswith(wanted)
        }
        return [span for span in spans if span["trace"] in ids]

    def newest(self, count: int = 20) -> list[Span]:
        """The last spans that nothing here is the parent of."""
        with self._lock:
            spans = list(self._spans)
        known = {span["id"] for span in spans}
        return [span for span in reversed(spans) if span["parent"] not in known][:count]


def read(body: bytes) -> Iterator[Span]:
    """The spans of an OTLP request. Raises ValueError for what is none."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise ValueError(f"no OTLP request: {error}") from error
    for resource in request.resource_spans:
        service = str(_attributes(resource.resource.attributes).get("service.name", "?"))
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "service": service,
                    "name": span.name,
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "failed": span.status.code == span.status.STATUS_CODE_ERROR,
                    "attributes": _attributes(span.attributes),
                }


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


def trees(spans: Iterable[Span]) -> str:
    """Spans as text, a line each: below whoever asked for them, in the order of their begin."""
    ordered = sorted(spans, key=lambda span: span["start"])
    known = {span["id"] for span in ordered}
    children: dict[str, list[Span]] = {}
    for span in ordered:
        children.setdefault(span["parent"] if span["parent"] in known else "", []).append(span)
    lines: list[str] = []
    for root in children.get("", []):
        lines.append(f"trace {root['trace']}  request {root['attributes'].get(REQUEST_ID, '-')}")
        lines += _lines(root, children, 1)
    return "\n".join(lines)


def _lines(span: Span, children: dict[str, list[Span]], depth: int) -> Iterator[str]:
    left = f"{'  ' * depth}{span['service']:<8} {span['name']}"
    milliseconds = (span["end"] - span["start"]) / 1e6
    status = span["attributes"].get(STATUS, "")
    yield f"{left:<60} {milliseconds:9.2f} ms  {status}{'  FAILED' if span['failed'] else ''}".rstrip()
    for child in children.get(span["id"], []):
        yield from _lines(child, children, depth + 1)


class Collector(ThreadingHTTPServer):
    """POST /v1/traces takes spans, GET /traces/ID gives those of a trace, GET / the newest."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], store: Store) -> None:
        """Bind."""
        self.store = store
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Collector
    timeout = 10
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, self.server.store.newest())
        elif self.path.startswith("/traces/"):
            found = self.server.store.trace(self.path.removeprefix("/traces/"))
            self._answer(200 if found else 404, found)
        else:
            self._answer(404, [])

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != "/v1/traces" or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(413 if length.isdigit() and int(length) > MAX_BODY_BYTES else 404, [])
            return
        body = self.rfile.read(int(length))
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self.server.store.add(list(read(body)))
        except (ValueError, OSError, EOFError, zlib.error) as error:
            self._answer(400, [str(error)])
        else:
            self._answer(200, None)

    def _answer(self, status: int, what: Any) -> None:
        body = b"" if what is None else json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if body else "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Batches every few seconds are not news."""


def show(wanted: str, port: int) -> int:
    """Print the tree of a trace, or what there is; the exit code."""
    url = f"http://127.0.0.1:{port}"
    try:
        with urllib.request.urlopen(f"{url}/traces/{wanted}", timeout=10) as answer:  # noqa: S310 - http, above
            print(trees(json.load(answer)))
            return 0
    except urllib.error.HTTPError as error:
        error.close()
    with urllib.request.urlopen(f"{url}/", timeout=10) as answer:  # noqa: S310 - likewise
        newest = json.load(answer)
    print(f"No span of {wanted} is here: not recorded, sent in a few seconds, or too old. The newest:", file=sys.stderr)
    for span in newest:
        request = span["attributes"].get(REQUEST_ID, "-")
        print(f"  {span['trace']}  {request:<36}  {span['service']} {span['name']}", file=sys.stderr)
    return 1


def main() -> int:
    """Serve, or show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=PORT)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve")
    commands.add_parser("show").add_argument("id")
    arguments = parser.parse_args()
    if arguments.command == "show":
        return show(arguments.id, arguments.port)
    with Collector(("", arguments.port), Store()) as server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What leaves this process of a span: no secrets and no rows; and how many leave, and how many are lost."""

import os
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from services.common.metrics import TelemetryMetrics

# text in quotes of any kind, and numbers that are no parameter ($1) and no part of a name
LITERAL = re.compile(
    r"\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|[eEbBxX]?'(?:[^'\\]|''|\\.)*'|(?<![\w$.])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    re.DOTALL,
)
QUERIES = frozenset({"url.query"})
ADDRESSES = frozenset({"url.full", "url.path", "http.url", "http.target"})
# a long part of a path may be a secret that somebody put there, unless it is an id of ours or words
LONG = 24
HARMLESS = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[a-z._-]+")
STATEMENTS = frozenset({"db.query.text", "db.statement"})
QUEUE = 2048  # the library's own default for OTEL_BSP_MAX_QUEUE_SIZE
HEADERS = ("http.request.header.", "http.response.header.", "db.statement.parameters")


class MaskingExporter(SpanExporter):
    """Leaves out queries, what may be secret in paths, values in SQL, and what errors say: they quote what they got."""

    def __init__(self, exporter: SpanExporter) -> None:
        """Wrap the exporter that sends."""
        self.exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans without what is nobody's business."""
        return self.exporter.export([_masked(span) for span in spans])

    def shutdown(self) -> None:
        """Pass on."""
        self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Pass on."""
        return self.exporter.force_flush(timeout_millis)


def _masked(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=dict(_attributes(span.attributes or {})),
        events=[_event(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),  # its words are those of the error
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes(attributes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, _value(name, value))
        for name, value in attributes.items()
        if name not in QUERIES and not name.startswith(HEADERS)
    ]


def _value(name: str, value: Any) -> Any:
    if name in ADDRESSES:
        return _address(str(value))
    return LITERAL.sub("?", str(value)) if name in STATEMENTS else value


def _address(text: str) -> str:
    """A path or a whole URL without its query and without parts that may be secrets or name people."""
    scheme, separator, rest = text.partition("?")[0].rpartition("://")
    host, *parts = rest.split("/")
    kept = ["…" if _is_private(part) else part for part in parts]
    return "/".join([f"{scheme}{separator}{host}", *kept])


def _is_private(part: str) -> bool:
    if "@" in part or "%40" in part:
        return True
    return len(part) >= LONG and not HARMLESS.fullmatch(part)


def _event(event: Event) -> Event:
    """Of an exception its class, and the stack if it is ours: that one has no messages in it."""
    attributes = event.attributes or {}
    kind = attributes.get("exception.type")
    if not isinstance(kind, str):
        return event
    is_ours = attributes.get("exception.message") == kind.rpartition(".")[2]
    kept = ("exception.type", "exception.stacktrace") if is_ours else ("exception.type",)
    return Event(event.name, {name: attributes[name] for name in kept if name in attributes}, event.timestamp)


class CountingExporter(SpanExporter):
    """Counts what the collector took and what it did not."""

    def __init__(self, exporter: SpanExporter, metrics: TelemetryMetrics) -> None:
        """Wrap the exporter."""
        self.exporter = exporter
        self.waiting = 0  # in the queue in front of this
        self.lock = threading.Lock()
        self._metrics = metrics

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send, and count what came of it. Raises nothing."""
        with self.lock:
            self.waiting -= len(spans)
        try:
            result = self.exporter.export(spans)
        except Exception:  # noqa: BLE001 - the queue's thread has to go on
            result = SpanExportResult.FAILURE
        counter = self._metrics.spans_sent if result is SpanExportResult.SUCCESS else self._metrics.spans_dropped
        counter.inc(len(spans))
        return result

    def shutdown(self) -> None:
        """Pass on; what still waits is lost."""
        self.exporter.shutdown()
        with self.lock:
            self._metrics.spans_dropped.inc(max(0, self.waiting))
            self.waiting = 0

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Pass on."""
        return self.exporter.force_flush(timeout_millis)


class CountingProcessor(SpanProcessor):
    """Counts spans that find the queue full: the oldest then gives way, and nobody waits."""

    def __init__(self, processor: BatchSpanProcessor, exporter: CountingExporter, metrics: TelemetryMetrics) -> None:
        """Wrap the processor whose queue the exporter empties."""
        self._processor = processor
        self._exporter = exporter
        self._metrics = metrics
        self._room = int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or QUEUE)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass on."""
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Put it into the queue."""
        with self._exporter.lock:
            if self._exporter.waiting < self._room:
                self._exporter.waiting += 1
            else:
                self._metrics.spans_dropped.inc()
        self._processor.on_end(span)

    def shutdown(self) -> None:
        """Pass on."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Pass on."""
        return self._processor.force_flush(timeout_millis)

"""Traces over OTLP. Imported only when the OTEL_* variables ask for it: without them it costs nothing."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from services.common.logging import DRIVER_MODULES

FLUSH_SECONDS = 3


class MaskingExporter(SpanExporter):
    """Leaves out what follows the `?` of any address, and what the database's errors say: secrets and rows."""

    QUERIES = frozenset({"url.query"})
    ADDRESSES = frozenset({"url.full", "http.url", "http.target"})

    def __init__(self, exporter: SpanExporter) -> None:
        """Wrap the exporter that sends."""
        self.exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans without their queries."""
        return self.exporter.export([self._masked(span) for span in spans])

    def shutdown(self) -> None:
        """Pass on."""
        self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Pass on."""
        return self.exporter.force_flush(timeout_millis)

    def _masked(self, span: ReadableSpan) -> ReadableSpan:
        attributes = span.attributes or {}
        quotes = any(map(_is_of_database, span.events))
        if not quotes and not attributes.keys() & (self.QUERIES | self.ADDRESSES):
            return span
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._without_queries(attributes),
            events=[_without_message(event) if _is_of_database(event) else event for event in span.events],
            links=span.links,
            kind=span.kind,
            status=Status(span.status.status_code) if quotes else span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _without_queries(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: str(value).partition("?")[0] if name in self.ADDRESSES else value
            for name, value in attributes.items()
            if name not in self.QUERIES
        }


def _is_of_database(event: Event) -> bool:
    kind = (event.attributes or {}).get("exception.type")
    return isinstance(kind, str) and kind.startswith((*DRIVER_MODULES, "sqlalchemy.exc."))


def _without_message(event: Event) -> Event:
    attributes = event.attributes or {}
    kept = {name: attributes[name] for name in attributes if name == "exception.type"}
    return Event(event.name, kept, event.timestamp)


def install(app: FastAPI, service: str) -> TracerProvider:
    """Trace the application's requests, its statements and its Redis calls. Call before the first request."""
    # the stable names of attributes; read once, by the first instrumentor
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    named = Resource.create({"service.name": service})
    # our own shutdown is bounded; the one at exit would wait for a dead collector
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(MaskingExporter(OTLPSpanExporter())))
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, meter_provider=NoOpMeterProvider(), exclude_spans=["receive", "send"]
    )
    if find_spec("asyncpg"):
        from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor

        _again(AsyncPGInstrumentor(), provider)  # type: ignore[no-untyped-call]
    if find_spec("redis"):
        from opentelemetry.instrumentation.redis import RedisInstrumentor

        _again(RedisInstrumentor(), provider)
    return provider


def _again(instrumentor: Any, provider: TracerProvider) -> None:
    """Instrument a library, which is done once a process; a later application takes it over."""
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
    instrumentor.instrument(tracer_provider=provider)


@asynccontextmanager
async def flushed(provider: TracerProvider) -> AsyncGenerator[None]:
    """Send what is left when the block ends, within a bound: a dead collector holds nobody up."""
    try:
        yield
    finally:
        sender = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        sender.start()
        await asyncio.to_thread(sender.join, FLUSH_SECONDS)

"""Traces over OTLP. Imported only when the OTEL_* variables ask for it: without them it costs nothing."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import Attributes
from starlette.types import ASGIApp, Receive, Scope, Send

from services.common import trace_context
from services.common.metrics import TelemetryMetrics
from services.common.spans import CountingExporter, CountingProcessor, MaskingExporter
from services.common.trace_context import new_trace_id, read_parent, unrecorded

FLUSH_SECONDS = 3


def _suppressed() -> Context:
    with suppress_instrumentation():
        return get_current()


SUPPRESSED = _suppressed()  # made once: to attach it is all that an unrecorded request pays
NOTHING = nullcontext(trace.INVALID_SPAN)


class Sampling:
    """The outermost layer: a request that is not recorded goes past the instrumentation."""

    def __init__(self, stack: ASGIApp, sampler: trace_context.Sampler) -> None:
        """Take the instrumented stack. Raises TypeError when it is not built as it was."""
        traced = getattr(stack, "app", None)
        if not isinstance(traced, OpenTelemetryMiddleware):
            raise TypeError(f"the instrumentor built {type(traced).__name__} where its own middleware was expected")
        self.app = stack
        self.plain: ASGIApp = traced.app
        self.sampler = sampler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide, and pass on."""
        if scope["type"] not in {"http", "websocket"}:
            await self.plain(scope, receive, send)
            return
        parent = read_parent(scope["headers"])
        if self.sampler.records(parent):
            await self.app(scope, receive, send)
            return
        trace_id = parent.trace_id if parent else new_trace_id()
        scope.setdefault("state", {}).update(
            trace_id=trace_id, traceparent=unrecorded(trace_id), trace_begins=parent is None
        )
        token = attach(SUPPRESSED)
        try:
            await self.plain(scope, receive, send)
        finally:
            detach(token)


def _note(span: trace.Span, scope: Scope) -> None:
    """Let the layers inside know of the trace."""
    context = span.get_span_context()
    trace_id = trace.format_trace_id(context.trace_id)
    scope.setdefault("state", {}).update(
        trace_id=trace_id,
        trace_sampled=True,
        traceparent=f"00-{trace_id}-{trace.format_span_id(context.span_id)}-01".encode(),
        trace_begins=getattr(span, "parent", None) is None,
    )


class OfRequests(Sampler):
    """Records requests that were let through to it, and what is done for them; never what a process does by itself."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,  # noqa: ARG002 - the base class has it
        name: str,  # noqa: ARG002 - likewise
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        *_: Any,
        **__: Any,
    ) -> SamplingResult:
        """Whether to record a span."""
        parent = trace.get_current_span(parent_context)
        recorded = kind is SpanKind.SERVER or parent.is_recording()
        return SamplingResult(Decision.RECORD_AND_SAMPLE if recorded else Decision.DROP, attributes)

    def get_description(self) -> str:
        """Its name."""
        return "of requests"


class Gate(trace.TracerProvider):
    """Tracers for libraries: they do nothing unless a request is recorded, without making a span to find that out."""

    def __init__(self, provider: TracerProvider) -> None:
        """Take the provider of those that are made."""
        self._provider = provider

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """A tracer behind the gate."""
        return _Gated(self._provider.get_tracer(*args, **kwargs))


class _Gated(trace.Tracer):
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        return self._tracer.start_span(*args, **kwargs) if _recording() else trace.INVALID_SPAN

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._tracer.start_as_current_span(*args, **kwargs) if _recording() else NOTHING


def _recording() -> bool:
    return trace.get_current_span().is_recording()


def install(app: FastAPI, service: str, metrics: TelemetryMetrics) -> TracerProvider:
    """Trace the application's requests, its statements and its Redis calls. Call before the first request."""
    # the stable names of attributes; read once, by the first instrumentor
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    named = Resource.create({"service.name": service})
    # our own shutdown is bounded; the one at exit would wait for a dead collector
    provider = TracerProvider(
        sampler=OfRequests(), resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
    )
    exporter = CountingExporter(MaskingExporter(OTLPSpanExporter()), metrics)
    provider.add_span_processor(CountingProcessor(BatchSpanProcessor(exporter), exporter, metrics))
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=provider,
        meter_provider=NoOpMeterProvider(),
        exclude_spans=["receive", "send"],
        server_request_hook=_note,
    )
    build, sampler = app.build_middleware_stack, trace_context.Sampler.of()
    app.build_middleware_stack = lambda: Sampling(build(), sampler)  # type: ignore[method-assign]
    gate = Gate(provider)
    if find_spec("asyncpg"):
        from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor

        _again(AsyncPGInstrumentor(), gate)  # type: ignore[no-untyped-call]
    if find_spec("redis"):
        from opentelemetry.instrumentation.redis import RedisInstrumentor

        _again(RedisInstrumentor(), gate)
    return provider


def _again(instrumentor: Any, provider: trace.TracerProvider) -> None:
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

"""HTTP metrics of one application in a registry of its own."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Metric, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import metrics, routing
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.health import Health
from services.common.methods import METHODS

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds
STREAMS = (b"text/event-stream", b"application/jsonl", b"application/x-ndjson")  # answers that last
NO_ANSWER = 500  # of a request that ended without one

Children = tuple[Counter, Histogram]


class HttpMetrics:
    """What is counted of requests: names and labels are the instrumentator's, the children are kept by us.

    The instrumentator's own middleware would match the route a second time, and look up two children a request.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register with this registry. Raises RuntimeError when another application has."""
        timed = partial(metrics.latency, buckets=BUCKETS, should_include_status=False)
        self._counted: Counter = _made(metrics.requests, registry)
        self._timed: Histogram = _made(timed, registry)
        self._children: dict[tuple[str, str, int], Children] = {}
        self.in_flight = {"request": 0, "stream": 0}
        gauge = Gauge(
            "http_requests_in_flight",
            "Requests without an answer yet, and streams (WebSockets too) that are open",
            ["kind"],
            registry=registry,
        )
        for kind in self.in_flight:
            gauge.labels(kind).set_function(partial(self.in_flight.__getitem__, kind))

    def finished(self, method: str, handler: str, status: int, seconds: float, trace_id: str | None) -> None:
        """Count one request; `trace_id` only of one that is recorded: it becomes the exemplar of its duration."""
        key = (method, handler, status)
        counter, histogram = self._children.get(key) or self._child(key)
        counter.inc()
        histogram.observe(seconds, {"trace_id": trace_id} if trace_id else None)

    def _child(self, key: tuple[str, str, int]) -> Children:
        method, handler, status = key
        found = (
            self._counted.labels(method=method, handler=handler, status=str(status)),
            self._timed.labels(method=method, handler=handler),
        )
        self._children[key] = found
        return found


class CountRequests:
    """The layer that counts. Unknown methods are folded into _OTHER: a client cannot make new series at will."""

    def __init__(self, app: ASGIApp, *, meter: HttpMetrics) -> None:
        """Wrap the application."""
        self.app = app
        self.meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count what came of it; the router answers 405 to a folded method as to the original."""
        if scope["type"] == "http":
            await self._count(scope, receive, send)
        elif scope["type"] == "websocket":
            self.meter.in_flight["stream"] += 1
            try:
                await self.app(scope, receive, send)
            finally:
                self.meter.in_flight["stream"] -= 1
        else:
            await self.app(scope, receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in METHODS:
            scope["method"] = "_OTHER"
        method, in_flight, status, kind = scope["method"], self.meter.in_flight, NO_ANSWER, "request"
        started = perf_counter()

        async def send_noted(message: Message) -> None:
            nonlocal status, kind
            if message["type"] == "http.response.start":
                status = message["status"]
                if kind == "request" and _lasts(message):
                    in_flight["request"] -= 1
                    kind = "stream"
                    in_flight["stream"] += 1
            await send(message)

        in_flight["request"] += 1
        try:
            await self.app(scope, receive, send_noted)
        finally:
            in_flight[kind] -= 1
            state = scope.setdefault("state", {})
            state["handler"] = handler = handler_of(scope)
            trace_id = state.get("trace_id") if state.get("trace_sampled") else None
            self.meter.finished(method, handler, status, perf_counter() - started, trace_id)


def handler_of(scope: Scope) -> str:
    """The template of the route that was taken, never the path that was asked for.

    Where nothing was routed (a body refused by its length, an unknown path) the routes are looked through.
    """
    route = scope.get("route")
    if route is None and "app" in scope and scope["type"] == "http":
        return routing.get_route_name(Request(scope), should_include_root_path=False) or "none"
    return getattr(route, "path", "none")


def _lasts(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(STREAMS) for name, value in message.get("headers", ()))


class _Noting(CollectorRegistry):
    """Hands on what registers, and keeps it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._registry = registry
        self.made: Any = None

    def register(self, collector: Collector) -> None:
        self._registry.register(collector)
        self.made = collector


def _made(make: Callable[..., object], registry: CollectorRegistry) -> Any:
    """The metric that one of the instrumentator's functions makes."""
    noting = _Noting(registry)
    if make(registry=noting) is None:
        raise RuntimeError("the registry already holds HTTP metrics: give each application its own")
    return noting.made


class TelemetryMetrics:
    """What became of traces and lines of the log; there from the start, at zero."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register with this registry."""
        self.spans_sent = Counter("traces_spans_sent_total", "Spans that the collector took", registry=registry)
        self.spans_dropped = Counter(
            "traces_spans_dropped_total",
            "Spans that were lost: the queue was full, or the collector did not take them",
            registry=registry,
        )
        self.lines_sampled_out = Counter(
            "log_lines_sampled_out_total",
            "Finished requests without a line in the log: there were more in that second",
            registry=registry,
        )


def process_registry(service: str, version: str, health: Health) -> CollectorRegistry:
    """A registry with what every process tells: build, memory, collections, lag of the loop."""
    disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each, that nobody asks
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    build = Info("slipway_build", "What runs here", registry=registry)
    build.info({"service": service, "version": version, "python": sys.version.split()[0]})
    lag = Gauge("event_loop_lag_seconds", "How much later than asked the loop woke its heartbeat", registry=registry)
    lag.set_function(lambda: health.lag_seconds)
    registry.register(ReadinessChecks(health))
    return registry


class ReadinessChecks(Collector):
    """1 or 0 for each readiness check, as of its last round: after the start the only place where a failure shows."""

    def __init__(self, health: Health) -> None:
        """Take the health whose checks are told."""
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """One sample a check."""
        family = GaugeMetricFamily("readiness_check_passing", "Whether what it asks for is there", labels=["check"])
        for name, outcome in self._health.checks.items():
            family.add_metric([name], float(outcome == "ok"))
        yield family

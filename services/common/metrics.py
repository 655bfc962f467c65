"""HTTP metrics of one application in a registry of its own."""

import sys
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Gauge, Info, Metric, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import metrics
from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from services.common.health import Health
from services.common.methods import METHODS

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds


class KnownMethods:
    """Folds methods that HTTP does not know into _OTHER: a client cannot make new series at will."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application, metrics included."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the method folded; the router answers 405 to it as to the original."""
        if scope["type"] == "http" and scope["method"] not in METHODS:
            scope["method"] = "_OTHER"
        await self.app(scope, receive, send)


def metrics_middleware(registry: CollectorRegistry) -> list[Middleware]:
    """`http_requests_total` and `http_request_duration_seconds`, by route template and exact status."""
    counted = metrics.requests(registry=registry)
    timed = metrics.latency(registry=registry, buckets=BUCKETS, should_include_status=False)
    if counted is None or timed is None:
        raise RuntimeError("the registry already holds HTTP metrics: give each application its own")
    return [
        Middleware(KnownMethods),
        Middleware(
            PrometheusInstrumentatorMiddleware,
            registry=registry,
            should_group_status_codes=False,
            instrumentations=[counted, timed],
        ),
    ]


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

"""What the gateway counts beside the requests themselves."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from services.common.metrics import BUCKETS


class Ejectable(Protocol):
    """A pod, as far as it is counted."""

    times_ejected: int

    def is_ejected(self, now: float) -> bool:
        """Whether it is left alone now."""


class HasPods(Protocol):
    """An upstream, as far as it is counted."""

    @property
    def name(self) -> str:
        """Its label."""

    @property
    def pods(self) -> Mapping[str, Ejectable]:
        """Its pods by address."""


class PodHealth(Collector):
    """What is known of the pods that are there now: those that have gone take their numbers with them."""

    def __init__(self, upstreams: Iterable[HasPods]) -> None:
        """Take the upstreams."""
        self._upstreams = tuple(upstreams)

    def collect(self) -> Iterator[Metric]:
        """How many are left alone, and how often each was."""
        alone = GaugeMetricFamily("gateway_upstream_ejected", "Pods that are left alone now", labels=["upstream"])
        times = CounterMetricFamily(
            "gateway_upstream_pod_ejections_total",
            "How often each pod that is there was left alone",
            labels=["upstream", "pod"],
        )
        now = time.monotonic()
        for upstream in self._upstreams:
            pods = dict(upstream.pods)
            alone.add_metric([upstream.name], sum(pod.is_ejected(now) for pod in pods.values()))
            for address, pod in pods.items():
                times.add_metric([upstream.name, address], pod.times_ejected)
        yield alone
        yield times


class GatewayMetrics:
    """By upstream (`items:8000`); by pod only what goes with the pod, for they come and go without end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Count in this registry."""
        self._registry = registry
        self.upstream_seconds = Histogram(
            "gateway_upstream_duration_seconds",
            "From the request's first byte to the pod until the head of its answer",
            ["upstream"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.upstream_failures = Counter(
            "gateway_upstream_failures_total",
            "Requests to a pod without an answer: connect, broken, slow",
            ["upstream", "reason"],
            registry=registry,
        )
        self.ejections = Counter(
            "gateway_upstream_ejections_total", "Pods that were left alone for a while", ["upstream"], registry=registry
        )
        self.retries = Counter(
            "gateway_upstream_retries_total",
            "Second attempts at another pod, and those that the budget refused",
            ["upstream", "result"],
            registry=registry,
        )
        self.resolutions = Counter(
            "gateway_upstream_resolutions_total",
            "Look-ups of a service's name",
            ["upstream", "result"],
            registry=registry,
        )
        self.pods = Gauge("gateway_upstream_pods", "Pods behind a name", ["upstream"], registry=registry)
        self.connections = Gauge(
            "gateway_upstream_connections", "Connections to pods, idle and at work", registry=registry
        )
        self.refused = Counter(
            "gateway_requests_refused_total", "Requests that no service was asked for", ["reason"], registry=registry
        )
        self.token_checks = Counter(
            "gateway_token_checks_total", "Access tokens looked at", ["result"], registry=registry
        )
        self.limits_decided = Counter(
            "gateway_limits_decided_total",
            "Requests whose limits were asked, by who decided; all but state: it was away",
            ["by"],
            registry=registry,
        )
        self.limits_refused = Counter(
            "gateway_limits_refused_total",
            "Limits that refused a request, by route",
            ["route", "per"],
            registry=registry,
        )
        for by in ("state", "local", "open", "closed"):
            self.limits_decided.labels(by)
        for result in ("accepted", "remembered", "refused"):
            self.token_checks.labels(result)

    def watch(self, upstreams: Iterable[HasPods]) -> None:
        """Tell also of the pods of these; what has not happened yet is there at zero."""
        upstreams = tuple(upstreams)
        self._registry.register(PodHealth(upstreams))
        for upstream in upstreams:
            name = upstream.name
            self.upstream_seconds.labels(name)
            self.ejections.labels(name)
            for reason in ("connect", "broken", "slow"):
                self.upstream_failures.labels(name, reason)
            for result in ("sent", "refused"):
                self.retries.labels(name, result)
            for result in ("resolved", "failed"):
                self.resolutions.labels(name, result)

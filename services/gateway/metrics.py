"""What the gateway counts beside the requests themselves."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.common.metrics import BUCKETS


class GatewayMetrics:
    """By upstream (`items:8000`), never by pod: pods come and go without end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Count in this registry."""
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
        self.in_flight = Gauge("gateway_requests_in_flight", "Requests being forwarded", ["kind"], registry=registry)
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

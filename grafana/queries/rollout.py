"""Versions side by side while one replaces the other: joined to requests by pod."""

from grafana.queries.http import FAILED
from grafana.queries.selectors import RANGE, SCOPE, gauge

VERSION = f"max by (namespace, pod, version) ({gauge('slipway_build_info')})"


def _by_version(per_pod: str, more: str = "") -> str:
    return f"sum by (service, version{more}) ({per_pod} * on (namespace, pod) group_left (version) {VERSION})"


_ALL = f"sum by (namespace, service, pod) (rate(http_requests_total{{{SCOPE}}}{RANGE}))"
_FAILED = f"sum by (namespace, service, pod) (rate(http_requests_total{{{SCOPE}, {FAILED}}}{RANGE}))"
_BUCKETS = f"sum by (namespace, service, pod, le) (rate(http_request_duration_seconds_bucket{{{SCOPE}}}{RANGE}))"

PODS = f"count by (service, version) ({gauge('slipway_build_info')})"
RATE = _by_version(_ALL)
ERROR_RATIO = f"({_by_version(_FAILED)} or 0 * {RATE}) / {RATE}"
P50 = f"histogram_quantile(0.5, {_by_version(_BUCKETS, ', le')})"
P99 = f"histogram_quantile(0.99, {_by_version(_BUCKETS, ', le')})"
CPU = _by_version(f"rate(process_cpu_seconds_total{{{SCOPE}}}{RANGE})")
MEMORY = (
    f"avg by (service, version) ({gauge('process_resident_memory_bytes')}"
    f" * on (namespace, pod) group_left (version) {VERSION})"
)

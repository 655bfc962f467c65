"""The gateway: pods behind it, token checks, limits, what it refuses itself."""

from grafana.queries.selectors import gauge, quantile, rate, ratio

UPSTREAM_RATE = f"sum by (upstream) ({rate('gateway_upstream_duration_seconds_count')})"
UPSTREAM_P50 = quantile(0.5, "gateway_upstream_duration_seconds", "upstream")
UPSTREAM_P99 = quantile(0.99, "gateway_upstream_duration_seconds", "upstream")
UPSTREAM_FAILURES = f"sum by (upstream, reason) ({rate('gateway_upstream_failures_total')})"
PODS = f"max by (upstream) ({gauge('gateway_upstream_pods')})"
EJECTED = f"max by (upstream) ({gauge('gateway_upstream_ejected')})"
EJECTIONS = f"sum by (upstream) ({rate('gateway_upstream_ejections_total')})"
EJECTIONS_BY_POD = f"sum by (upstream, exported_pod) ({rate('gateway_upstream_pod_ejections_total')})"
RETRIES = f"sum by (upstream, result) ({rate('gateway_upstream_retries_total')})"
RESOLUTIONS = f"sum by (upstream, result) ({rate('gateway_upstream_resolutions_total')})"
CONNECTIONS = f"sum by (pod) ({gauge('gateway_upstream_connections')})"

REFUSED = f"sum by (reason) ({rate('gateway_requests_refused_total')})"
TOKEN_CHECKS = f"sum by (result) ({rate('gateway_token_checks_total')})"
REMEMBERED_RATIO = ratio(rate("gateway_token_checks_total", 'result="remembered"'), rate("gateway_token_checks_total"))
LIMITS_DECIDED = f"sum by (by) ({rate('gateway_limits_decided_total')})"
LIMITS_REFUSED = f"sum by (route, per) ({rate('gateway_limits_refused_total')})"

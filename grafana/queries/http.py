"""Requests: rate, errors, duration, and what is in flight."""

from grafana.queries.selectors import gauge, quantile, rate, ratio

REQUESTS = "http_requests_total"
DURATION = "http_request_duration_seconds"
FAILED = 'status=~"5.."'

RATE = f"sum by (service) ({rate(REQUESTS)})"
RATE_BY_STATUS = f"sum by (status) ({rate(REQUESTS)})"
RATE_BY_HANDLER = f"topk(12, sum by (method, handler) ({rate(REQUESTS)}))"
RATE_BY_POD = f"sum by (pod) ({rate(REQUESTS)})"

ERROR_RATIO = ratio(rate(REQUESTS, FAILED), rate(REQUESTS))
ERROR_RATIO_BY_HANDLER = f"topk(8, {ratio(rate(REQUESTS, FAILED), rate(REQUESTS), 'handler')})"
CLIENT_ERROR_RATIO = ratio(rate(REQUESTS, 'status=~"4.."'), rate(REQUESTS))

P50 = quantile(0.5, DURATION)
P95 = quantile(0.95, DURATION)
P99 = quantile(0.99, DURATION)
P99_BY_HANDLER = f"topk(12, {quantile(0.99, DURATION, 'method, handler')})"
P99_BY_POD = quantile(0.99, DURATION, "pod")
MEAN_BY_HANDLER = (
    f"topk(12, sum by (method, handler) ({rate(f'{DURATION}_sum')})"
    f" / sum by (method, handler) ({rate(f'{DURATION}_count')}))"
)

REQUEST = 'kind="request"'
IN_FLIGHT = f"sum by (service) ({gauge('http_requests_in_flight', REQUEST)})"
IN_FLIGHT_BY_KIND = f"sum by (kind) ({gauge('http_requests_in_flight')})"
NOT_HTTP = f"sum by (service, status) ({rate('http_requests_refused_total')})"

TARGETS_UP = f"sum by (service) ({gauge('up')})"

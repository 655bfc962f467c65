"""Items: what its cache did, and what it keeps for repeated requests."""

from grafana.queries.selectors import gauge, rate, ratio

READS = f"sum by (result) ({rate('items_cache_requests_total')})"
HIT_RATIO = ratio(rate("items_cache_requests_total", 'result=~"hit|stale"'), rate("items_cache_requests_total"))
SKIPPED_RATIO = ratio(rate("items_cache_requests_total", 'result="skipped"'), rate("items_cache_requests_total"))
FILLS = f"sum by (result) ({rate('items_cache_fills_total')})"
INVALIDATIONS_FAILED = f"sum by (service) ({rate('items_cache_invalidations_failed_total')})"
IDEMPOTENCY_KEYS = f"max by (service) ({gauge('items_idempotency_keys')})"

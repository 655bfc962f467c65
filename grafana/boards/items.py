"""Items and its cache: what Redis spared Postgres, and what it could not."""

from grafana.boards import shared
from grafana.panels import ORANGE, RED, Board, Row, series, stat
from grafana.queries import http, items

BOARD = Board(
    uid="slipway-items",
    title="Slipway / Items and cache",
    description="Items and its cache: what Redis spared Postgres, and what it could not.",
    source="items_cache_requests_total",
    rows=(
        Row(
            "Now",
            (
                shared.RATE_NOW,
                shared.FAILED_NOW,
                shared.P99_NOW,
                stat(
                    "Read from the cache",
                    "Hits, as a share of reads.",
                    "percentunit",
                    (items.HIT_RATIO, "{{service}}"),
                    maximum=1,
                ),
                stat(
                    "Cache skipped",
                    "Redis was away, or too many waited for it.",
                    "percentunit",
                    (items.SKIPPED_RATIO, "{{service}}"),
                    maximum=1,
                    thresholds=((0.01, ORANGE), (0.5, RED)),
                    runbook="CacheUnavailable",
                ),
                stat(
                    "Idempotency keys",
                    "Kept for repeated requests.",
                    "short",
                    (items.IDEMPOTENCY_KEYS, "{{service}}"),
                    runbook="BacklogGrows",
                ),
            ),
        ),
        Row(
            "Cache",
            (
                series(
                    "Reads",
                    "By what the cache had.",
                    "ops",
                    (items.READS, "{{result}}"),
                    stacked=True,
                    runbook="CacheUnavailable",
                ),
                series(
                    "Share from the cache",
                    "Hits and entries served while one reader refreshes them.",
                    "percentunit",
                    (items.HIT_RATIO, "hits"),
                    (items.SKIPPED_RATIO, "skipped"),
                    maximum=1,
                ),
                series("Fills", "refused: a write came between.", "ops", (items.FILLS, "{{result}}")),
                series(
                    "Invalidations that failed",
                    "Writes that reached Redis neither before nor after: the entry may be stale for its hard lifetime.",
                    "ops",
                    (items.INVALIDATIONS_FAILED, "{{service}}"),
                    runbook="CacheInvalidationFails",
                ),
                series(
                    "Idempotency keys",
                    "Kept for repeated requests.",
                    "short",
                    (items.IDEMPOTENCY_KEYS, "{{service}}"),
                    runbook="BacklogGrows",
                ),
                shared.MEMORY,
            ),
        ),
        Row(
            "Requests",
            (
                shared.BY_ROUTE,
                shared.P99_BY_ROUTE,
                series(
                    "Mean, by route",
                    "Of the time to the last byte.",
                    "s",
                    (http.MEAN_BY_HANDLER, "{{method}} {{handler}}"),
                ),
            ),
        ),
        Row(
            "Postgres, as items sees it",
            (
                shared.POOL,
                shared.POOL_WAIT,
                shared.POOL_FAILURES,
            ),
        ),
    ),
)

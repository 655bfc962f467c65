"""Postgres and both Redis, from the services' side and from the exporters'."""

from grafana.alerts.model import BY, Alert, Proof, labels, series, share

_READS = "items_cache_requests_total"
_CONNECTIONS = f"sum by ({BY}) (pg_stat_activity_count) / max by ({BY}) (pg_settings_max_connections)"

ALERTS = (
    Alert(
        "DatabasePoolExhausted",
        f"sum by ({BY}) (database_pool_connections_busy) / sum by ({BY}) (database_pool_connections_max) > 0.9"
        f" or sum by ({BY}) (rate(database_pool_timeouts_total[5m])) > 0",
        5,
        "warning",
        "Requests to {{ $labels.service }} wait for connections of its pool",
        Proof(
            {series("database_pool_connections_busy"): "2x4 8x20", series("database_pool_connections_max"): "8x30"},
            10,
            labels("items"),
        ),
    ),
    Alert(
        "DatabaseFails",
        f"sum by ({BY}, reason) (rate(database_failures_total[5m])) > 0.1",
        5,
        "critical",
        "Postgres fails requests of {{ $labels.service }}: {{ $labels.reason }}",
        Proof({series("database_failures_total", reason="away"): "0x4 60+60x30"}, 10, labels("items", reason="away")),
    ),
    Alert(
        "PostgresDown",
        f"max by ({BY}) (pg_up) == 0",
        2,
        "critical",
        "Postgres does not answer its exporter",
        Proof({series("pg_up", "postgres"): "1x4 0x20"}, 7, labels("postgres")),
    ),
    Alert(
        "ConnectionBudgetUsed",
        f"{_CONNECTIONS} > 0.85",
        10,
        "warning",
        "More than 85 % of the connections that Postgres allows are taken",
        Proof(
            {
                series("pg_stat_activity_count", "postgres", datname="items", state="idle"): "100x4 260x30",
                series("pg_settings_max_connections", "postgres"): "300x40",
            },
            15,
            labels("postgres"),
        ),
    ),
    Alert(
        "TransactionStaysOpen",
        f"max by ({BY}, datname) (pg_stat_activity_max_tx_duration) > 600",
        5,
        "warning",
        "A transaction in {{ $labels.datname }} has been open for more than ten minutes",
        Proof(
            {series("pg_stat_activity_max_tx_duration", "postgres", datname="items", state="active"): "0x4 601+60x20"},
            10,
            labels("postgres", datname="items"),
        ),
    ),
    Alert(
        "RedisDown",
        f"max by ({BY}) (redis_up) == 0",
        1,
        "critical",
        "The Redis {{ $labels.service }} does not answer its exporter",
        Proof({series("redis_up", "cache"): "1x4 0x20"}, 6, labels("cache")),
    ),
    Alert(
        "CacheUnavailable",
        f'{share(f"""rate({_READS}{{result="skipped"}}[2m])""", f"rate({_READS}[2m])")} > 0.5',
        2,
        "warning",
        "{{ $labels.service }} reads without its cache: all of it comes from Postgres",
        Proof(
            {series(_READS, result="hit"): "0+60x5 300x30", series(_READS, result="skipped"): "0x5 60+60x30"},
            8,
            labels("items"),
        ),
    ),
    Alert(
        "CacheInvalidationFails",
        f"sum by ({BY}) (increase(items_cache_invalidations_failed_total[10m])) > 0",
        0,
        "warning",
        "Writes to {{ $labels.service }} could not tell the cache: readers may see older values for a while",
        Proof({series("items_cache_invalidations_failed_total"): "0x4 1x20"}, 5, labels("items")),
    ),
    Alert(
        "StateNearlyFull",
        f'max by ({BY}) (redis_memory_used_bytes{{service="state"}} / (redis_memory_max_bytes > 0)) > 0.85',
        10,
        "critical",
        "The Redis that must not forget is nearly full: full, it refuses every write",
        Proof(
            {
                series("redis_memory_used_bytes", "state"): "50x4 90x30",
                series("redis_memory_max_bytes", "state"): "100x40",
            },
            15,
            labels("state"),
        ),
    ),
    Alert(
        "StateNotOnDisk",
        f'min by ({BY}) (redis_aof_last_write_status{{service="state"}}) == 0',
        2,
        "critical",
        "The Redis that must not forget cannot write its append-only file",
        Proof({series("redis_aof_last_write_status", "state"): "1x4 0x20"}, 7, labels("state")),
    ),
)

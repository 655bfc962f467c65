"""The services' side of Postgres: pools, waiting, failures, migrations."""

from grafana.queries.selectors import gauge, quantile, rate

BUSY = f"sum by (service) ({gauge('database_pool_connections_busy')})"
SIZE = f"sum by (service) ({gauge('database_pool_connections_max')})"
BUSY_RATIO = f"{BUSY} / {SIZE}"
WAIT_P99 = quantile(0.99, "database_pool_wait_seconds")
WAIT_P50 = quantile(0.5, "database_pool_wait_seconds")
TIMEOUTS = f"sum by (service) ({rate('database_pool_timeouts_total')})"
FAILURES = f"sum by (service, reason) ({rate('database_failures_total')})"
MIGRATION_PENDING = f"max by (service) ({gauge('migration_pending')})"
MIGRATIONS = f"max by (service, revision) ({gauge('migration_applied')})"
ALL_POOLS = 'sum(database_pool_connections_max{namespace=~"$namespace"})'

"""What is counted of a database: its pool, and whether it is at this version's schema."""

import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy import exc
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool, PoolProxiedConnection

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)  # seconds


class DatabaseMetrics:
    """Of one engine; without a registry (commands) they are kept and told to nobody."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        """Register with this registry."""
        self.max = Gauge("database_pool_connections_max", "Connections that the pool may hold", registry=registry)
        self.busy = Gauge("database_pool_connections_busy", "Connections that requests hold now", registry=registry)
        self.wait = Histogram(
            "database_pool_wait_seconds",
            "From asking for a connection until having it, its making included",
            buckets=BUCKETS,
            registry=registry,
        )
        self.timeouts = Counter(
            "database_pool_timeouts_total", "Who waited for a connection in vain, and got 503", registry=registry
        )
        self.applied = Gauge(
            "migration_applied",
            "1 for the head of this version, once the database is there",
            ["revision"],
            registry=registry,
        )
        self.pending = Gauge(
            "migration_pending",
            "1 while the database lacks the head of this version, or was not reached",
            registry=registry,
        )
        self.pending.set(1)

    def watch(self, pool: Pool) -> None:
        """Measure this pool. Raises TypeError for one that cannot be."""
        if not isinstance(pool, TimedPool):
            raise TypeError(f"{type(pool).__name__} is no TimedPool")
        pool.metrics = self
        self.max.set(pool.size())
        self.busy.set_function(pool.checkedout)

    def migrated(self, head: str, *, applied: bool) -> None:
        """Note what the readiness check has found."""
        self.applied.labels(head).set(applied)
        self.pending.set(not applied)


class TimedPool(AsyncAdaptedQueuePool):
    """A pool that measures how long one waits for a connection."""

    metrics: DatabaseMetrics

    def connect(self) -> PoolProxiedConnection:
        """Hand out a connection. Raises sqlalchemy's TimeoutError."""
        started = time.perf_counter()
        try:
            return super().connect()
        except exc.TimeoutError:
            self.metrics.timeouts.inc()
            raise
        finally:
            self.metrics.wait.observe(time.perf_counter() - started)

    def recreate(self) -> Any:
        """Begin anew, as `dispose` does; what is measured goes on."""
        again = super().recreate()
        self.metrics.watch(again)
        return again

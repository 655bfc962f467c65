"""Failures of the database, counted by reason, and told often enough to be seen but not at every request."""

import time
from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry, Counter

SILENT_SECONDS = 10.0
REASONS = ("busy", "away", "conflict", "schema", "error")

log = structlog.get_logger()


class Failures:
    """Told of each failure; writes one line for each reason in ten seconds, never what a statement carried."""

    def __init__(self, registry: CollectorRegistry | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Count in this registry."""
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self._counted = Counter(
            "database_failures_total", "Requests that the database failed, by reason", ["reason"], registry=registry
        )
        for reason in REASONS:
            self._counted.labels(reason)

    def failed(self, reason: str, error: BaseException, sqlstate: str | None = None) -> None:
        """Note one failure; of the error only its class is told."""
        self._counted.labels(reason).inc()
        if self._clock() - self._logged_at.get(reason, float("-inf")) >= SILENT_SECONDS:
            self._logged_at[reason] = self._clock()
            log.warning("database_failed", reason=reason, error=type(error).__name__, sqlstate=sqlstate)

"""When `clean` last finished and what it removed, told by every process that serves."""

import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.auth.retention.repository import RetentionRepository
from services.auth.retention.service import TASK
from services.common.postgres import SessionMaker, open_session
from services.common.tasks import every, running

READ_SECONDS = 30.0


class MaintenanceGauges(Collector):
    """What the database says; nothing before the first run."""

    def __init__(
        self,
        session_maker: SessionMaker,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the database."""
        self._session_maker = session_maker
        self._clock = clock
        self._finished_at: float | None = None  # by this process's clock
        self._done: Mapping[str, int] = {}
        if registry:
            registry.register(self)

    async def refresh(self) -> None:
        """Read the row. Raises UnavailableError."""
        async with open_session(self._session_maker) as session:
            noted = await RetentionRepository(session).noted(TASK)
        if noted is not None:
            self._finished_at, self._done = self._clock() - noted[0], noted[1]

    def collect(self) -> Iterator[Metric]:
        """Seconds since the last run, rows that it removed."""
        if self._finished_at is None:
            return
        age = self._clock() - self._finished_at
        yield GaugeMetricFamily("auth_clean_age_seconds", "Since when `clean` has last finished", value=age)
        family = GaugeMetricFamily("auth_clean_removed_rows", "Rows that its last run removed", labels=["table"])
        for table, count in self._done.items():
            family.add_metric([table], count)
        yield family


@asynccontextmanager
async def open_maintenance_gauges(
    session_maker: SessionMaker, registry: CollectorRegistry | None = None
) -> AsyncGenerator[MaintenanceGauges]:
    """Gauges that follow the database for as long as the block lasts."""
    gauges = MaintenanceGauges(session_maker, registry)
    async with running(lambda: every(READ_SECONDS, gauges.refresh, failed="maintenance_not_read"), "maintenance"):
        yield gauges

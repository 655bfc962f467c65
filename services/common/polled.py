"""Gauges that are asked for now and then, not at each scrape: of what lies in the database."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from services.common.exceptions import UnavailableError
from services.common.tasks import stop

READ_SECONDS = 30.0

log = structlog.get_logger()


class PolledGauges(Collector):
    """What was last found; nothing before the first time, and the same as before while it cannot be asked."""

    def __init__(self, ask: Callable[[], Awaitable[Sequence[Metric]]], registry: CollectorRegistry) -> None:
        """Take the function that asks."""
        self._ask = ask
        self._found: Sequence[Metric] = ()
        registry.register(self)

    async def refresh(self) -> None:
        """Ask now. Raises what the asking raises."""
        self._found = await self._ask()

    async def keep_fresh(self) -> None:
        """Ask for ever, whatever goes wrong; run as a task."""
        while True:
            try:
                await self.refresh()
            except UnavailableError:
                pass  # counted and told by the database's own part
            except Exception as error:  # noqa: BLE001 - it is told, and asked again
                log.warning("gauges_not_read", error=type(error).__name__)
            await asyncio.sleep(READ_SECONDS)

    def collect(self) -> Iterator[Metric]:
        """What was last found."""
        yield from self._found


@asynccontextmanager
async def polled(
    ask: Callable[[], Awaitable[Sequence[Metric]]], registry: CollectorRegistry
) -> AsyncGenerator[PolledGauges]:
    """Gauges that are kept fresh for as long as the block lasts."""
    gauges = PolledGauges(ask, registry)
    task = asyncio.create_task(gauges.keep_fresh(), name="gauges")
    try:
        yield gauges
    finally:
        await stop(task)

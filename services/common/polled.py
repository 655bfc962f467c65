"""Gauges that are asked for now and then, not at each scrape: of what lies in the database."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from services.common.tasks import every, running

READ_SECONDS = 30.0


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

    def collect(self) -> Iterator[Metric]:
        """What was last found."""
        yield from self._found


@asynccontextmanager
async def polled(
    ask: Callable[[], Awaitable[Sequence[Metric]]], registry: CollectorRegistry
) -> AsyncGenerator[PolledGauges]:
    """Gauges that are kept fresh for as long as the block lasts."""
    gauges = PolledGauges(ask, registry)
    async with running(lambda: every(READ_SECONDS, gauges.refresh, failed="gauges_not_read"), "gauges"):
        yield gauges

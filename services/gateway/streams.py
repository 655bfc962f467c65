"""Streams that would outlive a drain are ended in time, so that their clients come back to another pod."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

from services.common.health import Health
from services.common.tasks import running

POLL_SECONDS = 0.2
# of the drain: late enough that the edge sends nothing here any more, spread so that not all come back at once
FROM, TO = 0.5, 0.9


class Streams:
    """Knows how to end each stream that is open."""

    def __init__(self, health: Health, *, drain_seconds: float) -> None:
        """Take who knows of the drain, and how long it lasts."""
        self._health = health
        self._drain_seconds = drain_seconds
        self._ends: set[Callable[[], None]] = set()

    @contextmanager
    def registered(self, end: Callable[[], None]) -> Generator[None]:
        """Have `end` called when it is time to leave."""
        self._ends.add(end)
        if self._health.draining:
            self._end_soon(end)
        try:
            yield
        finally:
            self._ends.discard(end)

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Watch for the drain for as long as the block lasts."""
        async with running(self._watch, "streams"):
            yield

    async def _watch(self) -> None:
        while not self._health.draining:  # noqa: ASYNC110 - set by a signal handler
            await asyncio.sleep(POLL_SECONDS)
        for end in list(self._ends):
            self._end_soon(end)

    def _end_soon(self, end: Callable[[], None]) -> None:
        delay = self._drain_seconds * random.uniform(FROM, TO)
        asyncio.get_running_loop().call_later(delay, self._end, end)

    def _end(self, end: Callable[[], None]) -> None:
        if end in self._ends:
            end()

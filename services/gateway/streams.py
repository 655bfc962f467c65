"""Streams that would outlive a drain, or the right to them, are ended.

Those of a drain in time, so that their clients come back to another pod; those of a token that is revoked at once. That
a token's own time is over ends none: who has opened one may read on until something takes that away.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum

from services.common.health import Health
from services.common.tasks import running
from services.common.tokens import Principal

POLL_SECONDS = 0.2
# of the drain: late enough that the edge sends nothing here any more, spread so that not all come back at once
FROM, TO = 0.5, 0.9


class Ending(Enum):
    """Why a stream is to end."""

    DRAIN = "drain"
    REVOKED = "revoked"


End = Callable[[Ending], None]


class Streams:
    """Knows how to end each stream that is open."""

    def __init__(self, health: Health, *, drain_seconds: float, is_revoked: Callable[[Principal], bool]) -> None:
        """Take who knows of the drain, how long it lasts, and who knows which tokens are revoked."""
        self._health = health
        self._drain_seconds = drain_seconds
        self._is_revoked = is_revoked
        self._ends: dict[End, Principal | None] = {}

    @contextmanager
    def registered(self, end: End, principal: Principal | None) -> Generator[None]:
        """Have `end` called when it is time to leave; `principal` is who opened it, None for anybody."""
        self._ends[end] = principal
        if self._health.draining:
            self._end_soon(end)
        try:
            yield
        finally:
            del self._ends[end]

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Watch for the drain for as long as the block lasts."""
        async with running(self._watch, "streams"):
            yield

    async def _watch(self) -> None:
        """Until the end: tokens are revoked during a drain too."""
        drained = False
        while True:
            await asyncio.sleep(POLL_SECONDS)
            for end, principal in list(self._ends.items()):
                if principal is not None and self._is_revoked(principal):
                    end(Ending.REVOKED)
            if self._health.draining and not drained:
                drained = True
                for end in self._ends:
                    self._end_soon(end)

    def _end_soon(self, end: End) -> None:
        delay = self._drain_seconds * random.uniform(FROM, TO)
        asyncio.get_running_loop().call_later(delay, self._end, end)

    def _end(self, end: End) -> None:
        if end in self._ends:
            end(Ending.DRAIN)

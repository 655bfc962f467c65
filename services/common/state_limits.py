"""Limits decided in `state`, for callers who go on without it: its outage costs few of them time, a crowd is none."""

import asyncio
import time
from collections.abc import Sequence

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.common.breaker import Breaker
from services.common.limits import Decision, Limit, Limiter

PAUSE_SECONDS = 1.0  # `state` that failed is left alone for so long
DEADLINE_SECONDS = 0.5  # what one question may take
SAID_EVERY_SECONDS = 10.0
# so many ask at once, each for a millisecond; fewer than the client has connections, for it takes a want of them for a
# Redis that is away
TURNS = 32

log = structlog.get_logger()


class StateLimits:
    """Asks `state` unless it failed a moment ago; then one caller a second finds out whether it is back.

    That it is away is logged at most every ten seconds.
    """

    def __init__(self, redis: Redis, service: str) -> None:
        """Take the client and the name that this service's keys begin with."""
        self.limiter = Limiter(redis, service)
        self.breaker = Breaker(PAUSE_SECONDS)
        self._turns = asyncio.Semaphore(TURNS)
        self._said_at = -SAID_EVERY_SECONDS

    async def decide(self, limits: Sequence[Limit], *, spend: bool = True) -> Decision | None:
        """What the limits say; None without an answer. Raises ValueError for what could never be allowed."""
        async with self._turns:  # waiting for one's turn says nothing about Redis, and a pause ends the queue
            if not self.breaker.permits():
                return None
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    decision = await (self.limiter.take(limits) if spend else self.limiter.look(limits))
            except (RedisError, OSError) as error:  # a TimeoutError is an OSError
                self.breaker.failed()
                self._say(error)
                return None
            self.breaker.succeeded()
            return decision

    def _say(self, error: Exception) -> None:
        if time.monotonic() >= self._said_at + SAID_EVERY_SECONDS:
            self._said_at = time.monotonic()
            log.warning("limits_decided_without_state", error=type(error).__name__)

"""Asking a Redis that may be away, without paying its timeout each time and without taking a crowd for an outage."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError, ResponseError

from services.common.breaker import Breaker

log = structlog.get_logger()

DEADLINE_SECONDS = 0.5  # what one question may take, the client's retry included
QUEUE_SECONDS = 10.0  # how long to wait for one's turn; with Redis silent the pause ends a queue of readers sooner


def always() -> bool:
    """Ask also during a pause."""
    return True


class Line:
    """A queue in front of Redis: so many ask at once, the others wait, which says nothing about Redis."""

    def __init__(self, breaker: Breaker, size: int) -> None:
        self._breaker = breaker
        self._turns = asyncio.Semaphore(size)

    async def ask(
        self, script: AsyncScript, key: str, *args: str | int | bytes, permitted: Callable[[], bool] = always
    ) -> Any | None:
        """Run a script over one key when it is one's turn, and still permitted then; None without an answer."""
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            log.warning("cache_crowded")
            return None
        try:
            return await self._run(script, key, args) if permitted() else None
        finally:
            self._turns.release()

    async def _run(self, script: AsyncScript, key: str, args: tuple[str | int | bytes, ...]) -> Any | None:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                answer = await script(keys=[key], args=args)
        except ResponseError as error:  # it is there and refuses: a key of another type, no memory left
            log.warning("cache_refused", error=str(error))
            return None
        except (RedisError, TimeoutError) as error:
            self._breaker.failed()
            log.warning("cache_unreachable", error=type(error).__name__)
            return None
        self._breaker.succeeded()
        return answer

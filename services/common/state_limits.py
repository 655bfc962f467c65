"""Limits decided in `state`, for callers who go on without it: its outage costs few of them time, a crowd is none.

While questions are on their way, those that come meanwhile wait, and then go together in one command: asking for many
costs the client little more than asking for one. A question that comes alone goes at once, and no timer holds any back.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.common.breaker import Breaker
from services.common.limits import Decision, Limit
from services.common.redis_limits import Limiter, Question

PAUSE_SECONDS = 1.0  # `state` that failed is left alone for so long
DEADLINE_SECONDS = 0.5  # what one command may take
SAID_EVERY_SECONDS = 10.0
# so many commands are under way at once: with one alone, a packet that is lost would hold up everybody. Far fewer than
# the client has connections, for it takes a want of them for a Redis that is away
CALLS = 2
QUESTIONS = 64  # go in one command at most: Redis does nothing else for its time, which is about a millisecond

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Asked:
    """A question, who waits for its answer, and the command that it went with."""

    question: Question
    answer: asyncio.Future[Decision | None]
    context: Context = field(default_factory=copy_context)
    beside: Sequence["_Asked"] = ()
    call: asyncio.Task[None] | None = None


class StateLimits:
    """Asks `state` unless it failed a moment ago; then one caller a second finds out whether it is back.

    That it is away is logged at most every ten seconds.
    """

    def __init__(self, redis: Redis, service: str) -> None:
        """Take the client and the name that this service's keys begin with."""
        self.limiter = Limiter(redis, service)
        self.breaker = Breaker(PAUSE_SECONDS)
        self._waiting: deque[_Asked] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._beginning: asyncio.Task[None] | None = None  # the one that will take all who wait by then
        self._said_at = -SAID_EVERY_SECONDS

    async def decide(self, limits: Sequence[Limit], *, spend: bool = True) -> Decision | None:
        """What the limits say; None without an answer. Raises ValueError for what could never be allowed.

        A caller who is cancelled may have been counted.
        """
        question = Question(limits, spend=spend)
        if not self.breaker.permits():
            return None
        asked = _Asked(question, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._begin_calls()
        try:
            return await asked.answer
        finally:
            # a command that nobody waits for any longer is not left behind
            if asked.answer.cancelled() and asked.call and all(other.answer.done() for other in asked.beside):
                asked.call.cancel()

    def _begin_calls(self) -> None:
        """Have those who wait asked for, as far as commands may be under way."""
        while self._waiting and self._waiting[0].answer.done():  # its caller has left
            self._waiting.popleft()
        if self._waiting and self._beginning is None and len(self._calls) < CALLS:
            together: list[_Asked] = []
            # what it logs and traces belongs to the request that has waited for longest
            call = asyncio.create_task(self._call(together), name="limits", context=self._waiting[0].context)
            call.add_done_callback(partial(self._ended, together))
            self._calls.add(call)
            self._beginning = call

    async def _call(self, together: list[_Asked]) -> None:
        """Ask for those who wait now, in the order in which they came, and answer them."""
        while self._waiting and len(together) < QUESTIONS:
            asked = self._waiting.popleft()
            if not asked.answer.done():
                asked.beside, asked.call = together, asyncio.current_task()
                together.append(asked)
        self._beginning = None
        self._begin_calls()
        if not together:  # all have left
            return
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                decisions = await self.limiter.decide([asked.question for asked in together])
        except (RedisError, OSError) as error:  # a TimeoutError is an OSError
            self.breaker.failed()
            self._say(error)
            _answer(together, repeat(None))
            _answer(self._waiting, repeat(None))  # they would have to find out once more
            self._waiting.clear()
        else:
            self.breaker.succeeded()
            _answer(together, decisions)

    def _ended(self, together: list[_Asked], call: asyncio.Task[None]) -> None:
        """Go on with those who came meanwhile; a command that was cancelled, or has a fault, leaves nobody waiting."""
        self._calls.discard(call)
        if self._beginning is call:
            self._beginning = None
        error = asyncio.CancelledError() if call.cancelled() else call.exception()
        for asked in together:
            if error is not None and not asked.answer.done():
                asked.answer.set_exception(error)
        together.clear()  # a ring of those in it would be left to the garbage collector
        self._begin_calls()

    def _say(self, error: Exception) -> None:
        if time.monotonic() >= self._said_at + SAID_EVERY_SECONDS:
            self._said_at = time.monotonic()
            log.warning("limits_decided_without_state", error=type(error).__name__)


def _answer(asked: Iterable[_Asked], decisions: Iterable[Decision | None]) -> None:
    for one, decision in zip(asked, decisions, strict=False):  # of nothing there is more than enough
        if not one.answer.done():
            one.answer.set_result(decision)

"""How often something may happen, exactly: GCRA over several limits at once, in Redis or in this process alone.

A limit holds one number: the moment at which everything spent will have been earned back (its theoretical arrival
time). Taking moves it on by the time that one costs; it may lie ahead by the burst, no further. What one limit refuses
spends nothing in those that are asked with it.

Everything is counted in integers: whole microseconds and, since `per_seconds / count` seldom is one, a rest in
`1/count` of a microsecond. Nothing drifts, however many are taken.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

MICROSECONDS = 1_000_000
EXACT = 2**53  # Lua, in Redis, counts in doubles: integers above this are not exact
MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    """`count` in `per_seconds` for whatever `key` stands for; `burst` of them at once, by default all.

    `key` names the purpose and the one who is limited: "sign-in:account:3f…". It holds nobody's e-mail or address in
    a form that one could read back.
    """

    key: str
    count: int
    per_seconds: int
    burst: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be counted exactly. Raises ValueError."""
        if self.count < 1 or self.per_seconds < 1 or self.at_once < 1:
            raise ValueError(f"the limit {self.key} must let something through")
        if self.window * self.at_once * 2 >= EXACT or self.window * self.count >= EXACT:
            raise ValueError(f"the limit {self.key} is too large to be counted exactly")

    @property
    def at_once(self) -> int:
        """The burst."""
        return self.count if self.burst is None else self.burst

    @property
    def name(self) -> str:
        """Its window belongs to it: one key may have several. Its count does not, so that it can be changed."""
        return f"{self.key}:{self.per_seconds}"

    @property
    def window(self) -> int:
        """Microseconds in which `count` come back."""
        return self.per_seconds * MICROSECONDS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one limit said. Times are microseconds; `retry_after` is 0 when it was allowed."""

    limit: Limit
    allowed: bool
    remaining: int  # so many more at once
    retry_after_us: int
    reset_us: int  # until all is back

    @property
    def retry_after(self) -> int:
        """Whole seconds, rounded up: what a Retry-After header says."""
        return -(-self.retry_after_us // MICROSECONDS)

    @property
    def reset(self) -> int:
        """Whole seconds, rounded up."""
        return -(-self.reset_us // MICROSECONDS)


@dataclass(frozen=True, slots=True)
class Decision:
    """What all limits of a call said together: when one refuses, nothing was spent in any."""

    outcomes: tuple[Outcome, ...]

    @property
    def refused(self) -> tuple[Outcome, ...]:
        """Those that refused."""
        return tuple(outcome for outcome in self.outcomes if not outcome.allowed)

    @property
    def allowed(self) -> bool:
        """Whether none refused."""
        return not self.refused

    @property
    def retry_after(self) -> int:
        """Whole seconds until no limit would refuse, if nobody else takes; 0 when allowed."""
        return max((outcome.retry_after for outcome in self.refused), default=0)


class Takes(Protocol):
    """Who decides: Redis for all replicas, or this process for itself."""

    async def take(self, limits: Sequence[Limit], cost: int = 1) -> Decision:
        """Spend `cost` in each limit, or nothing in any. Raises ValueError for what could never be allowed."""

    async def look(self, limits: Sequence[Limit], cost: int = 1) -> Decision:
        """What `take` would decide now, without spending."""


class LocalLimiter:
    """The same decisions in this process alone, for when Redis is away. Its memory is bounded.

    Beyond `max_entries` the limits that were spent from least recently are forgotten first, so the number should exceed
    what the widest limit lets through in a window.
    """

    def __init__(self, *, max_entries: int = MAX_ENTRIES, clock: Callable[[], int] | None = None) -> None:
        """Take the bound, and a clock in microseconds."""
        self._clock = clock or (lambda: time.monotonic_ns() // 1000)
        self._max_entries = max_entries
        self._arrivals: OrderedDict[str, tuple[int, int]] = OrderedDict()  # microseconds and a rest in 1/count of one

    async def take(self, limits: Sequence[Limit], cost: int = 1) -> Decision:
        """Spend `cost` in each limit, or nothing in any. Raises ValueError."""
        return self._decide(limits, cost, spend=True)

    async def look(self, limits: Sequence[Limit], cost: int = 1) -> Decision:
        """What `take` would decide now, without spending."""
        return self._decide(limits, cost, spend=False)

    def _decide(self, limits: Sequence[Limit], cost: int, *, spend: bool) -> Decision:
        check(limits, cost)
        now = self._clock()
        debts = [self._debt(limit, now) for limit in limits]
        wanted = [debt + cost * limit.window for debt, limit in zip(debts, limits, strict=True)]
        fits = all(want <= limit.window * limit.at_once for want, limit in zip(wanted, limits, strict=True))
        if spend and fits:
            for limit, debt in zip(limits, wanted, strict=True):
                self._keep(limit, now, debt)
        after = wanted if spend and fits else debts
        return Decision(tuple(map(_outcome, limits, wanted, after)))

    def _debt(self, limit: Limit, now: int) -> int:
        whole, rest = self._arrivals.get(limit.name, (0, 0))
        return min((whole - now) * limit.count + rest, limit.window * limit.at_once) if whole >= now else 0

    def _keep(self, limit: Limit, now: int, debt: int) -> None:
        whole, rest = divmod(debt, limit.count)
        self._arrivals[limit.name] = (now + whole, rest)
        self._arrivals.move_to_end(limit.name)
        while len(self._arrivals) > self._max_entries:
            self._arrivals.popitem(last=False)


def _outcome(limit: Limit, wanted: int, debt: int) -> Outcome:
    over = wanted - limit.window * limit.at_once
    return Outcome(
        limit,
        allowed=over <= 0,
        remaining=(limit.window * limit.at_once - debt) // limit.window,
        retry_after_us=max(0, -(-over // limit.count)),
        reset_us=-(-debt // limit.count),
    )


def check(limits: Sequence[Limit], cost: int) -> None:
    """Raise ValueError for what could never be allowed, or would count one limit twice."""
    if len({limit.name for limit in limits}) != len(limits):
        raise ValueError("two limits over the same key and window are one limit")
    if any(not 1 <= cost <= limit.at_once for limit in limits):
        raise ValueError(f"a cost of {cost} could never be allowed")

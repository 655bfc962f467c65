"""Items in Redis, read through: what may be served, who may fill, and how a writer keeps old rows out.

While a writer reaches Redis, no read after an acknowledged write sees an older value, because

- one key an item holds the value and the lease to fill it: what removes the value voids the lease,
  so that a reader who was paused between the database and its fill has nothing left to fill with;
- a writer puts a hold on the key before its commit and removes the key after it: in between there is no value and
  nobody gets a lease, so a reader of the row before the commit cannot fill. A writer that dies in between, that
  does not reach Redis again, or whose commit has an unknown outcome, leaves the hold to end by itself, later than
  its commit can.

Either of the two is enough, as long as Redis keeps its memory. A write that gets neither the hold nor the removal
to Redis is counted: the value before it is served for at most the hard lifetime, counted from the moment the
lease was given, which is before the row was read. The same, with nobody left to count it, when a process is killed
after a commit whose hold did not reach Redis.

Readers are never merged into one database read: one that began before a write would then answer for one that
began after it.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from services.common.breaker import Breaker
from services.items import scripts
from services.items.breaker import Line
from services.items.schemas import ItemRead

log = structlog.get_logger()

FORMAT = "1"  # of the value; not part of the key, or a pod of one version would not invalidate for another's
LEASE_SECONDS = 3.0  # one reader's time to ask the database; after it another may try
JITTER = 0.2  # lifetimes are shortened by up to this share, so that entries of one moment end apart
PAUSE_SECONDS = 1.0  # readers leave a Redis that failed alone for this long
PAUSED_HOLD_SECONDS = 0.1  # a hold is tried in a pause too, but for this long: its writer has the row locked
# who may ask at once, each for a millisecond; together fewer than the client has connections, for it takes a want of
# them for a Redis that is away. Writers have turns of their own, which no crowd of readers takes
READERS, WRITERS = 12, 4


def key(item_id: UUID) -> str:
    """Where an item's entry lies."""
    return f"items:item:{item_id}"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds: one reader refreshes after `soft`, the entry ends after `hard`, a hold after `hold`."""

    soft: float
    hard: float
    hold: float


@dataclass(frozen=True, slots=True)
class Found:
    """What the cache had: an item or none, and a lease when this reader is the one who should fill."""

    item: ItemRead | None = None
    lease: str | None = None
    body: bytes = field(default=b"", compare=False)  # the item as it is sent


class CacheMetrics:
    """What the cache did, counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "items_cache_requests_total",
            "Reads by what the cache had; skipped: Redis was away, or too many were waiting for it",
            ["result"],
            registry=registry,
        )
        self.fills = Counter(
            "items_cache_fills_total",
            "Fills by outcome; refused: the lease was void",
            ["result"],
            registry=registry,
        )
        self.invalidations_failed = Counter(
            "items_cache_invalidations_failed_total",
            "Writes that reached Redis neither before nor after: the entry may be stale for its hard lifetime",
            registry=registry,
        )
        for result in ("hit", "miss", "stale", "skipped"):
            self.requests.labels(result)
        for result in ("stored", "refused", "skipped"):
            self.fills.labels(result)


class ItemCache:
    """The entries of items; with Redis away reads find nothing, writes go on, and both are counted."""

    def __init__(self, redis: Redis, metrics: CacheMetrics, lifetimes: Lifetimes) -> None:
        self._metrics = metrics
        self._lifetimes = lifetimes
        self._breaker = Breaker(PAUSE_SECONDS)
        self._readers = Line(self._breaker, READERS)
        self._writers = Line(self._breaker, WRITERS)
        self._find = redis.register_script(scripts.FIND)
        self._fill = redis.register_script(scripts.FILL)
        self._give_back = redis.register_script(scripts.GIVE_BACK)
        self._hold = redis.register_script(scripts.HOLD)
        self._forget = redis.register_script(scripts.FORGET)

    async def find(self, item_id: UUID) -> Found:
        """Look an item up. Whoever gets a lease ends it by `fill` or `give_back`."""
        lease = secrets.token_hex(8)
        answer = await self._unless_paused(self._find, item_id, FORMAT, lease, _milliseconds(LEASE_SECONDS))
        if answer is None:
            self._metrics.requests.labels("skipped").inc()
            return Found()
        value, result, leased = answer
        self._metrics.requests.labels(result.decode()).inc()
        return Found(_decode(value), lease if leased else None, value or b"")

    async def fill(self, found: Found, item: ItemRead) -> None:
        """Keep what the database said, unless the lease is void: then a writer came between."""
        if found.lease is None:
            return
        share = 1 - random.random() * JITTER
        soft, hard = _milliseconds(self._lifetimes.soft * share), _milliseconds(self._lifetimes.hard * share)
        stored = await self._unless_paused(self._fill, item.id, found.lease, FORMAT, _encode(item), soft, hard)
        result = "skipped" if stored is None else "stored" if stored else "refused"
        self._metrics.fills.labels(result).inc()

    async def give_back(self, item_id: UUID, found: Found) -> None:
        """Let the next reader fill: this one had nothing to fill with.

        Asks Redis without a lease too: somebody else's item and one that is not there cost the same.
        """
        await self._unless_paused(self._give_back, item_id, found.lease or "none")

    @asynccontextmanager
    async def writing(self, item_id: UUID) -> AsyncGenerator[None]:
        """Keep old rows out while the body commits, then forget the entry; counts it when neither reached Redis.

        When the body fails nobody knows what the database did: the hold stays until it ends by itself.
        """
        writer = secrets.token_hex(8)
        held = await self._put_hold(item_id, writer)
        forgotten = None
        try:
            yield
            forgotten = await self._writers.ask(self._forget, key(item_id), writer)
        finally:
            if held is None and forgotten is None:
                self._metrics.invalidations_failed.inc()

    async def _put_hold(self, item_id: UUID, writer: str) -> Any | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSED_HOLD_SECONDS if self._breaker.pausing else None):
                return await self._writers.ask(self._hold, key(item_id), writer, _milliseconds(self._lifetimes.hold))
        return None

    async def _unless_paused(self, script: AsyncScript, item_id: UUID, *args: str | int | bytes) -> Any | None:
        """Run a script that one can do without; None when Redis is away or was a moment ago."""
        return await self._readers.ask(script, key(item_id), *args, permitted=self._breaker.permits)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _encode(item: ItemRead) -> bytes:
    return item.model_dump_json().encode()


def _decode(value: bytes | None) -> ItemRead | None:
    """Read a value back; one that is no item (somebody else's hand) counts as none and ends by itself."""
    if value is None:
        return None
    try:
        return ItemRead.model_validate_json(value)
    except ValidationError:
        log.warning("cache_entry_unreadable")
        return None

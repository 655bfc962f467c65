"""Following the stream of revocations in `state`: at once, and everything again every five seconds."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.common.revocations import STREAM, Revocations, parse
from services.common.tasks import running

REREAD_SECONDS = 5.0
RETRY_SECONDS = 0.5
BLOCK_SECONDS = 1.0  # how long the server holds a reading that finds nothing: it is heard at least so often
TIMEOUT_SECONDS = 3.0
PAGE = 1000  # entries; other tasks have their turn between two pages

log = structlog.get_logger()


class Follower:
    """Reads the stream for ever, into `Revocations`."""

    def __init__(self, redis: Redis, revocations: Revocations) -> None:
        """Take a client that nobody else uses: it waits inside a command."""
        self._redis = redis
        self._revocations = revocations
        self._last: bytes = b"0-0"
        self._unreadable = 0
        self._away = False

    async def follow(self) -> None:
        """Read everything, then what is new; again and again. Run as a task."""
        while True:
            try:
                await self._read_everything()
                await self._read_new(time.monotonic() + REREAD_SECONDS)
            except (RedisError, OSError) as error:
                if not self._away:
                    log.warning("revocations_not_heard", error=type(error).__name__)
                self._away = True
                await self._redis.connection_pool.disconnect()
                await asyncio.sleep(RETRY_SECONDS)

    async def _read_everything(self) -> None:
        # of an empty stream: whatever the server's clock says, the next entry comes after it
        start, last, unreadable = b"-", b"0-0", 0
        while page := await self._page(start):
            unreadable += self._apply(page)
            last = page[-1][0]
            start = b"(" + last
        self._last = last
        self._revocations.forget_old()
        self._revocations.heard(everything=True)
        self._note(unreadable)

    async def _read_new(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            block = round(BLOCK_SECONDS * 1000)
            answer: Any = await self._redis.xread({STREAM: self._last}, count=PAGE, block=block)
            self._revocations.heard()
            for page in _pages(answer):
                self._apply(page)
                self._last = page[-1][0]

    async def _page(self, start: bytes) -> Any:
        return await self._redis.xrange(STREAM, start, b"+", count=PAGE)

    def _apply(self, page: Any) -> int:
        """Apply one page; returns how many of its entries were none."""
        unreadable = 0
        for _, entry in page:
            revocation = parse(entry)
            if revocation is None:
                unreadable += 1
            else:
                self._revocations.apply(revocation)
        return unreadable

    def _note(self, unreadable: int) -> None:
        if self._away:
            log.info("revocations_heard_again", known=len(self._revocations))
        if unreadable and not self._unreadable:
            log.error("revocations_unreadable", entries=unreadable)
        self._away, self._unreadable = False, unreadable
        self._revocations.metrics.unreadable.set(unreadable)


def _pages(answer: Any) -> list[Any]:
    """The pages in an answer to XREAD, which has another form in each version of the protocol."""
    if isinstance(answer, dict):
        return [page for pages in answer.values() for page in pages if page]
    return [page for _, page in answer or []]


@asynccontextmanager
async def open_revocations(url: SecretStr, registry: CollectorRegistry | None = None) -> AsyncGenerator[Revocations]:
    """Revocations that are followed for as long as the block lasts; `state` may be away at the start."""
    revocations = Revocations(registry)
    redis = Redis.from_url(
        url.get_secret_value(),
        protocol=2,  # one form of the answers
        max_connections=1,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )
    async with aclosing(redis), running(Follower(redis, revocations).follow, "revocations"):
        yield revocations

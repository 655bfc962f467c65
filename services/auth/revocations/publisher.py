"""Telling `state` what was revoked: at once when it happens, and everything again when `state` has lost its memory.

A revocation is a row, committed with its cause. Whoever committed it wakes the publisher of its process; every process
looks once a second besides, for what a process that ended could not tell any more. The stream and a stamp are written
together, and the stamp is kept in the database too: when `state` holds another one, it was flushed, restarted empty or
replaced by an older copy, and all live rows are told again. Telling twice does no harm.

While `state` is away the rows wait, and services refuse what they know already; the rest is told within a second of
its return. Until then a revoked access token lives for at most its own lifetime.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.auth.revocations import models
from services.auth.revocations.repository import RevocationRepository
from services.common.exceptions import UnavailableError
from services.common.postgres import SessionMaker, open_session
from services.common.revocations import LIFE_SECONDS, STREAM, Revocation, fields
from services.common.tasks import running

INTERVAL_SECONDS = 1.0
BATCH = 1000  # entries of one transaction of Redis
STAMP = f"{STREAM}:stamp"

log = structlog.get_logger()


class Publisher:
    """Tells `state`; one process at a time."""

    def __init__(self, redis: Redis, session_maker: SessionMaker, registry: CollectorRegistry | None = None) -> None:
        """Take `state` and the database."""
        self._redis = redis
        self._session_maker = session_maker
        self._woken = asyncio.Event()
        self._away = False
        self._published = Counter("auth_revocations_published_total", "Told to `state`", registry=registry)
        self._failed = Counter("auth_revocations_failed_total", "Rounds in which `state` was away", registry=registry)
        self._waiting = Gauge(
            "auth_revocations_waiting_seconds", "How long the oldest waits that was not told", registry=registry
        )

    def wake(self) -> None:
        """Have what was just committed told now."""
        self._woken.set()

    async def publish(self) -> int:
        """Tell what was not told; how many. Raises RedisError and UnavailableError: then it waits."""
        async with open_session(self._session_maker) as session:
            revocations = RevocationRepository(session)
            await revocations.lock()
            waiting = await revocations.waiting()
            self._waiting.set(waiting.seconds)
            rows, stamp = waiting.rows, await revocations.stamp()
            if stamp is not None and not await self._holds(stamp):
                rows = await revocations.live()
                log.warning("revocations_told_again", count=len(rows))
            elif not rows:
                return 0
            stamp = secrets.token_hex(8)
            await self._tell(rows, stamp)
            await revocations.published(rows, stamp)
            await revocations.commit()
        self._waiting.set(0)
        self._published.inc(len(rows))
        return len(rows)

    async def _holds(self, stamp: str) -> bool:
        return bool(await self._redis.get(STAMP) == stamp.encode())

    async def _tell(self, rows: Sequence[models.Revocation], stamp: str) -> None:
        """Add to the stream, cut what is old off it, and last set the stamp: without it everything is told again."""
        oldest = int(time.time() - LIFE_SECONDS) * 1000
        for start in range(0, len(rows), BATCH):
            pipeline = self._redis.pipeline(transaction=True)
            for row in rows[start : start + BATCH]:
                entry: Any = fields(entry_of(row))
                pipeline.xadd(STREAM, entry, minid=oldest)
            await pipeline.execute()
        await self._redis.set(STAMP, stamp)

    async def keep_publishing(self) -> None:
        """Publish when woken, and once a second besides, for ever; run as a task."""
        while True:
            self._woken.clear()
            try:
                await self.publish()
                self._away = False
            except (RedisError, OSError) as error:
                self._failed.inc()
                if not self._away:
                    log.warning("revocations_not_told", error=type(error).__name__)
                self._away = True
            except UnavailableError:
                pass  # counted and told by the database's own part
            except Exception:
                log.exception("revocations_not_told")
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await self._woken.wait()


def entry_of(row: models.Revocation) -> Revocation:
    """A row as services read it: its moment in milliseconds, cut as that of a token's id is."""
    at = int(row.at.timestamp() * 1000)
    return Revocation(row.kind, row.target, at, at // 1000 + LIFE_SECONDS)  # type: ignore[arg-type] # by a constraint


@asynccontextmanager
async def open_publisher(
    redis: Redis, session_maker: SessionMaker, registry: CollectorRegistry | None = None
) -> AsyncGenerator[Publisher]:
    """Publish for as long as the block lasts, and once more at its end."""
    publisher = Publisher(redis, session_maker, registry)
    try:
        async with running(publisher.keep_publishing, "revocations to state"):
            yield publisher
    finally:
        with suppress(RedisError, OSError, UnavailableError):
            await publisher.publish()

"""`python -m tests.bench.apps.cached serve`: items as they are, but for the cache, which the library in BY keeps.

Each as its documentation shows it: a value with a lifetime, deleted after a write. Neither has a lease or a hold, so
that a reader who was slower than a writer leaves the old row there until it ends.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import cashews
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.coder import JsonCoder
from redis.asyncio import Redis

from services.common.process import run
from services.items import main
from services.items.cache import CacheMetrics, Found, Lifetimes, key
from services.items.schemas import ItemRead
from services.items.settings import ItemsSettings


class Cashews:
    """Pickled values in Redis, by `get` and `set`."""

    def __init__(self, _: Redis, lifetimes: Lifetimes) -> None:
        self._seconds = lifetimes.hard
        self._cache = cashews.Cache()
        self._cache.setup(os.environ["CACHE_URL"])

    async def get(self, name: str) -> ItemRead | None:
        """The item, or none."""
        found: ItemRead | None = await self._cache.get(name)
        return found

    async def set(self, name: str, item: ItemRead) -> None:
        """Keep it."""
        await self._cache.set(name, item, expire=self._seconds)

    async def delete(self, name: str) -> None:
        """Forget it."""
        await self._cache.delete(name)


class FastapiCache2:
    """JSON in Redis, by the backend and the coder that its decorator uses."""

    def __init__(self, redis: Redis, lifetimes: Lifetimes) -> None:
        self._seconds = int(lifetimes.hard)
        self._backend = RedisBackend(redis)

    async def get(self, name: str) -> ItemRead | None:
        """The item, or none."""
        _, found = await self._backend.get_with_ttl(name)
        # its JSON comes back as a dictionary, which FastAPI then makes into the model
        return None if found is None else ItemRead.model_validate(JsonCoder.decode(found))

    async def set(self, name: str, item: ItemRead) -> None:
        """Keep it."""
        await self._backend.set(name, JsonCoder.encode(item), self._seconds)

    async def delete(self, name: str) -> None:
        """Forget it."""
        await self._backend.clear(key=name)


KINDS: dict[str, type[Cashews | FastapiCache2]] = {"cashews": Cashews, "fastapi-cache2": FastapiCache2}


class OtherCache:
    """What items want of a cache, by another's."""

    def __init__(self, redis: Redis, metrics: CacheMetrics, lifetimes: Lifetimes) -> None:
        """Take what the cache takes."""
        self._by = KINDS[os.environ["BY"]](redis, lifetimes)
        self._metrics = metrics

    async def find(self, item_id: UUID) -> Found:
        """Look it up, and count."""
        item = await self._by.get(key(item_id))
        self._metrics.requests.labels("hit" if item else "miss").inc()
        return Found(item)

    async def fill(self, _: Found, item: ItemRead) -> None:
        """Keep what the database said."""
        await self._by.set(key(item.id), item)

    async def give_back(self, *_: Any) -> None:
        """There is no lease."""

    @asynccontextmanager
    async def writing(self, item_id: UUID) -> AsyncGenerator[None]:
        """Delete after the commit."""
        yield
        await self._by.delete(key(item_id))


if __name__ == "__main__":
    vars(main)["ItemCache"] = OtherCache  # the one way in: items has no setting that puts another there
    run("items", create_app=main.create_app, settings=ItemsSettings)

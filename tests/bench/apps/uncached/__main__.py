"""`python -m tests.bench.apps.uncached serve`: items as they are, but that every read goes to Postgres."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from services.common.process import run
from services.items import main
from services.items.cache import Found
from services.items.settings import ItemsSettings


class NoCache:
    """Finds nothing and keeps nothing."""

    def __init__(self, *_: Any) -> None:
        """Take what the cache takes."""

    async def find(self, _: UUID) -> Found:
        """Nothing."""
        return Found()

    async def fill(self, *_: Any) -> None:
        """Nowhere."""

    async def give_back(self, *_: Any) -> None:
        """There is no lease."""

    @asynccontextmanager
    async def writing(self, _: UUID) -> AsyncGenerator[None]:
        """There is nothing to hold."""
        yield


if __name__ == "__main__":
    vars(main)["ItemCache"] = NoCache  # the one way in: items has no setting that takes it out
    run("items", create_app=main.create_app, settings=ItemsSettings)

"""Databases of a Postgres server, from code that need not be async."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]

T = TypeVar("T")


def execute(url: str, *statements: str) -> list[list[asyncpg.Record]]:
    """Run statements as one after the other, outside a transaction, from code that is not async."""

    async def work() -> list[list[asyncpg.Record]]:
        connection = await asyncpg.connect(url, timeout=30)
        try:
            return [await connection.fetch(statement, timeout=30) for statement in statements]
        finally:
            await connection.close()

    return in_a_thread(work)


def in_a_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine whether or not a loop is already running in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


def with_login(url: str, user: str, password: str) -> str:
    """The same database, another login."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}"))


@contextmanager
def new_database(admin_url: str, name: str) -> Generator[str]:
    """An empty database for as long as the block lasts; yields its URL."""
    execute(admin_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    try:
        yield with_database(admin_url, name)
    finally:
        execute(admin_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

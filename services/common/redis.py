"""Redis: a bounded pool with short timeouts, for callers who can do without it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

TIMEOUT_SECONDS = 0.25
MAX_CONNECTIONS = 64


@asynccontextmanager
async def open_redis(url: SecretStr, *, timeout_seconds: float = TIMEOUT_SECONDS) -> AsyncGenerator[Redis]:
    """A client that waits a quarter of a second, then tries once more: to connect, and to ask.

    A server gone silent costs a caller about a second. Connects when first asked. Who finds all connections at work
    waits for one, for the same quarter of a second.
    """
    pool = BlockingConnectionPool.from_url(
        url.get_secret_value(),
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        health_check_interval=15,
        max_connections=MAX_CONNECTIONS,
        retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.05), 1),
    )
    client = Redis.from_pool(pool)
    try:
        yield client
    finally:
        await client.aclose()


async def ping(client: Redis) -> None:
    """Ask the server something; raises when it does not answer."""
    await client.execute_command("PING")  # type: ignore[no-untyped-call]

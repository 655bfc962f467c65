"""A Redis that is away costs little time and comes back by itself."""

import asyncio

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from services.common.redis import MAX_CONNECTIONS, open_redis, ping
from tests.support.servers import Server, free_port


async def until_answered(client: Redis) -> None:
    """Ask until there is an answer: a quarter of a second is little on a busy machine."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await ping(client)
            except RedisError:
                await asyncio.sleep(0.05)


async def test_an_answering_server_answers(redis_url: str) -> None:
    async with open_redis(SecretStr(redis_url)) as client:
        await ping(client)
        await client.set("tests:common:one", b"1", ex=60)

        assert await client.get("tests:common:one") == b"1"


async def test_more_calls_than_connections_wait_for_each_other(redis_url: str) -> None:
    # patience for a slow machine: how long one waits is not what this is about
    async with open_redis(SecretStr(redis_url), timeout_seconds=20) as client:
        await asyncio.gather(*(client.get("tests:common:one") for _ in range(MAX_CONNECTIONS * 4)))


async def test_a_server_that_is_away_raises_at_once() -> None:
    async with open_redis(SecretStr(f"redis://127.0.0.1:{free_port()}/0")) as client:
        with pytest.raises(RedisConnectionError):
            await ping(client)


async def test_a_server_that_hangs_up_is_tried_again_but_not_often() -> None:
    calls = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_redis(SecretStr(f"redis://127.0.0.1:{port}/0")) as client:
            with pytest.raises(RedisError):
                await ping(client)

    assert 2 <= calls <= 4  # connecting is tried twice, and so is asking


@pytest.mark.usefixtures("hurried")
async def test_a_server_gone_silent_raises_within_a_bound(own_redis: Server) -> None:
    async with open_redis(SecretStr(own_redis.url)) as client:
        await until_answered(client)
        with own_redis.paused(), pytest.raises(RedisError):
            async with asyncio.timeout(20):  # far more than it takes, and without a bound it would be for ever
                await ping(client)

        await until_answered(client)


async def test_a_server_that_comes_back_is_used_again_without_an_error(own_redis: Server) -> None:
    async with open_redis(SecretStr(own_redis.url)) as client:
        await ping(client)
        with own_redis.stopped(), pytest.raises(RedisError):
            await ping(client)

        await ping(client)

"""What was revoked is told to `state`: at once, once more when `state` lost it, and never by two at a time."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlmodel import select

from services.auth.revocations import publisher as module
from services.auth.revocations.models import Revocation
from services.auth.revocations.publisher import Publisher, entry_of, open_publisher
from services.auth.revocations.record import revoke
from services.common.following import open_revocations
from services.common.postgres import SessionMaker, open_postgres, session_maker
from services.common.redis import open_redis
from services.common.revocations import STREAM, Kind, Presented, Revocations
from tests.auth.conftest import MakeSettings
from tests.support.servers import Server, redis_server
from tests.support.waits import until


@pytest.fixture(scope="module")
def own_state() -> Iterator[Server]:
    """A `state` that these tests may stop and empty."""
    if "TEST_REDIS_URL" in os.environ:
        pytest.skip("servers are given, and there may be no program to start one of the test's own")
    with redis_server() as server:
        yield server


@pytest.fixture
async def sessions(make_settings: MakeSettings) -> AsyncIterator[SessionMaker]:
    async with open_postgres(make_settings(), CollectorRegistry()) as engine:
        yield session_maker(engine)


@pytest.fixture
async def state(own_state: Server) -> AsyncIterator[Redis]:
    async with open_redis(SecretStr(own_state.url)) as redis:
        yield redis


async def commit(sessions: SessionMaker, kind: Kind, *targets: str) -> None:
    async with sessions() as session:
        for target in targets:
            revoke(session, kind, target)
        await session.commit()


def refused(revocations: Revocations, session_id: str) -> bool:
    return revocations.refuses(Presented("somebody", "tests", session_id, None, None, 0))


def all_refuse(followers: list[Revocations], session_id: str) -> bool:
    return all(refused(one, session_id) for one in followers)


async def told(redis: Redis) -> list[str]:
    entries: Any = await redis.xrange(STREAM)
    return [entry[b"target"].decode() for _, entry in entries]


async def test_what_is_revoked_is_refused_by_whoever_follows(
    sessions: SessionMaker, state: Redis, own_state: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INTERVAL_SECONDS", 3600.0)  # woken, and not by its own clock
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(open_publisher(state, sessions))
        followers = [await stack.enter_async_context(open_revocations(SecretStr(own_state.url))) for _ in range(3)]
        for number in range(20):
            await commit(sessions, "session", f"woken-{number}")
            publisher.wake()
            await until(partial(all_refuse, followers, f"woken-{number}"), f"revocation {number}")


async def test_what_a_process_that_ended_could_not_tell_another_tells(sessions: SessionMaker, state: Redis) -> None:
    await commit(sessions, "session", "left-behind")

    async with open_publisher(state, sessions):
        await eventually_told(state, "left-behind")


async def test_after_a_flush_everything_that_lives_is_told_again(
    sessions: SessionMaker, state: Redis, own_state: Server
) -> None:
    publisher = Publisher(state, sessions)
    await commit(sessions, "session", "before-the-flush")
    await publisher.publish()
    assert await publisher.publish() == 0

    await state.flushall()
    async with open_revocations(SecretStr(own_state.url)) as revocations:
        assert not refused(revocations, "before-the-flush")
        assert await publisher.publish() > 0
        await until(lambda: refused(revocations, "before-the-flush"), "what was lost is told again")


async def test_an_older_copy_of_state_is_noticed(sessions: SessionMaker, state: Redis) -> None:
    """As after a failover that lost the last writes: the stream is there, and something is missing."""
    publisher = Publisher(state, sessions)
    await commit(sessions, "session", "in-the-copy")
    await publisher.publish()
    copy: Any = await state.dump(STREAM)
    stamp: Any = await state.get(module.STAMP)
    await commit(sessions, "session", "lost-with-the-master")
    await publisher.publish()

    await state.restore(STREAM, 0, copy, replace=True)
    await state.set(module.STAMP, stamp)
    await publisher.publish()

    assert "lost-with-the-master" in await told(state)


async def test_while_state_is_away_rows_wait_and_are_told_when_it_is_back(
    sessions: SessionMaker, state: Redis, own_state: Server
) -> None:
    registry = CollectorRegistry()
    async with open_publisher(state, sessions, registry) as publisher:
        with own_state.stopped():
            await commit(sessions, "session", "meanwhile")
            publisher.wake()
            await until(lambda: registry.get_sample_value("auth_revocations_failed_total"), "a round that failed")
            assert (registry.get_sample_value("auth_revocations_waiting_seconds") or 0) > 0
        await eventually_told(state, "meanwhile")


async def test_nothing_is_marked_as_told_that_state_did_not_take(
    sessions: SessionMaker, state: Redis, own_state: Server
) -> None:
    publisher = Publisher(state, sessions)
    await commit(sessions, "session", "not-taken")
    with own_state.stopped(), pytest.raises((RedisError, OSError)):
        await publisher.publish()

    async with sessions() as session:
        row = (await session.exec(select(Revocation).where(Revocation.target == "not-taken"))).one()
    assert row.published_at is None


async def test_of_several_publishers_each_row_is_told_once(sessions: SessionMaker, state: Redis) -> None:
    publishers = [Publisher(state, sessions) for _ in range(4)]
    await publishers[0].publish()
    before = len(await told(state))
    await commit(sessions, "session", *(f"once-{number}" for number in range(50)))

    counts = await asyncio.gather(*(publisher.publish() for publisher in publishers))

    assert sum(counts) == 50
    assert sorted((await told(state))[before:]) == sorted(f"once-{number}" for number in range(50))


async def test_a_rows_moment_is_cut_to_milliseconds_as_a_tokens_is(sessions: SessionMaker) -> None:
    await commit(sessions, "user", "moment")
    async with sessions() as session:
        row = (await session.exec(select(Revocation).where(Revocation.target == "moment"))).one()

    assert entry_of(row).at == int(row.at.timestamp() * 1000)


async def eventually_told(redis: Redis, target: str) -> None:
    """Wait until the stream holds it."""
    async with asyncio.timeout(20):
        while target not in await told(redis):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.05)

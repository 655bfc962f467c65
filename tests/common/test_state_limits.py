"""Limits in `state`: an outage costs few callers time, a crowd is none, and what is back decides again."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Sequence

import pytest
from pydantic import SecretStr

from services.common.limits import Decision, Limit
from services.common.redis import open_redis
from services.common.state_limits import StateLimits
from tests.support.servers import Server

DAY = 86_400


def new_limit(count: int) -> Limit:
    return Limit(f"test:{uuid.uuid4().hex}", count, DAY)


@pytest.fixture
async def limits(own_redis: Server) -> AsyncGenerator[StateLimits]:
    """Over a Redis that a test may stop."""
    async with open_redis(SecretStr(own_redis.url)) as client:
        yield StateLimits(client, "tests")


async def test_a_crowd_is_not_taken_for_an_outage(limits: StateLimits) -> None:
    limit = new_limit(200)

    decisions = await asyncio.gather(*(limits.decide([limit]) for _ in range(1000)))

    assert None not in decisions
    assert sum(decision.allowed for decision in decisions if decision) == 200


async def test_looking_spends_nothing(limits: StateLimits) -> None:
    limit = new_limit(1)

    decisions = [await limits.decide([limit], spend=spend) for spend in (False, False, True, False)]

    assert [decision and decision.allowed for decision in decisions] == [True, True, True, False]


@pytest.mark.usefixtures("hurried")
async def test_silence_costs_one_caller_in_a_second_its_deadline(
    limits: StateLimits, own_redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = 0
    take = limits.limiter.take

    async def counted(asked: Sequence[Limit]) -> Decision:
        nonlocal asks
        asks += 1
        return await take(asked)

    monkeypatch.setattr(limits.limiter, "take", counted)
    with own_redis.paused():
        started = time.monotonic()
        decisions = [await limits.decide([new_limit(1)]) for _ in range(50)]
        elapsed = time.monotonic() - started

    assert set(decisions) == {None}
    assert 1 <= asks <= 1 + elapsed  # the first, and one more a second


async def test_what_is_back_decides_again(limits: StateLimits, own_redis: Server) -> None:
    with own_redis.stopped():
        assert await limits.decide([new_limit(1)]) is None
    async with asyncio.timeout(20):
        while await limits.decide([new_limit(1)]) is None:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.05)

"""Limits are exact, whoever asks at the same time, and what is refused costs nothing."""

import asyncio
import random
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from redis.asyncio import Redis

from services.common import redis_limits as module
from services.common.limits import MICROSECONDS, Limit, LocalLimiter
from services.common.redis import open_redis
from services.common.redis_limits import Limiter, Question
from tests.support.clients import ROOT
from tests.support.servers import Server

DAY = 86_400
SECONDS = 60

# what one process of several does: many tasks take at once, and it prints how many were allowed
TAKER = """
import asyncio, sys
from pydantic import SecretStr
from services.common.limits import Limit
from services.common.redis import open_redis
from services.common.redis_limits import Limiter

async def main(url, key):
    async with open_redis(SecretStr(url), timeout_seconds=20) as redis:
        limiter = Limiter(redis, "tests")
        limits = [Limit(key, 100, 86400), Limit(key + "-wide", 1000, 86400)]
        decisions = await asyncio.gather(*(limiter.take(limits) for _ in range(200)))
        print(sum(decision.allowed for decision in decisions))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    async with open_redis(SecretStr(redis_url), timeout_seconds=20) as client:
        yield client


def new_key() -> str:
    return f"test:{uuid.uuid4().hex}"


def redis_key(limit: Limit) -> str:
    return f"tests:{{limit}}:{limit.key}:{limit.per_seconds}"


class Bucket:
    """The simplest model of a limit: a bucket of exact fractions that fills as time passes."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.tokens = Fraction(limit.at_once)

    def wait(self, microseconds: int) -> None:
        self.tokens = min(Fraction(self.limit.at_once), self.tokens + self.worth(microseconds))

    def worth(self, microseconds: int) -> Fraction:
        return Fraction(microseconds * self.limit.count, self.limit.window)

    def time(self, tokens: Fraction) -> int:
        exact = tokens * self.limit.window / self.limit.count
        return -(-exact.numerator // exact.denominator)


def any_limit(name: str) -> st.SearchStrategy[Limit]:
    return st.builds(
        Limit,
        st.just(name),
        count=st.integers(1, 5000),
        per_seconds=st.sampled_from([1, 7, 60, 3600, DAY]),
        burst=st.none() | st.integers(3, 50),
    ).filter(lambda limit: limit.at_once >= 3)


Steps = list[tuple[int, int]]  # microseconds to wait, then what to take
steps = st.lists(st.tuples(st.integers(0, 2_000_000) | st.integers(0, 100), st.integers(1, 3)), max_size=40)


@settings(deadline=None)
@given(chosen=st.tuples(any_limit("a"), any_limit("b")), steps=steps)
def test_every_answer_is_that_of_a_bucket_of_exact_fractions(chosen: tuple[Limit, Limit], steps: Steps) -> None:
    now = 0
    limiter = LocalLimiter(clock=lambda: now)
    buckets = [Bucket(limit) for limit in chosen]

    for wait, cost in steps:
        now += wait
        for bucket in buckets:
            bucket.wait(wait)
        decision = asyncio.run(limiter.take(chosen, cost))

        fits = [bucket.tokens >= cost for bucket in buckets]
        assert [outcome.allowed for outcome in decision.outcomes] == fits
        for bucket, outcome in zip(buckets, decision.outcomes, strict=True):
            assert outcome.retry_after_us == max(0, bucket.time(cost - bucket.tokens))
            bucket.tokens -= cost * all(fits)
            assert outcome.remaining == int(bucket.tokens)
            assert outcome.reset_us == bucket.time(bucket.limit.at_once - bucket.tokens)


async def test_redis_and_the_process_decide_alike_to_the_microsecond(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the script with its clock in the test's hands, and entries that outlive the test's leaps
    clock = f"tests:{{limit}}:{new_key()}"
    script = module.TAKE.replace("redis.call('TIME')", f"redis.call('HMGET', '{clock}', 's', 'us')")
    script = script.replace("'PX', string.format('%.0f', math.ceil(debt / count / 1000) + 1)", "'EX', 600")
    assert script.count(clock) == script.count("'EX', 600") == 1
    monkeypatch.setattr(module, "TAKE", script)
    now = 1_800_000_000 * MICROSECONDS
    shared, local = Limiter(redis, "tests"), LocalLimiter(clock=lambda: now)
    seed = random.randrange(2**32)
    chance = random.Random(seed)

    for _ in range(20):
        limits = [Limit(new_key(), chance.randint(1, 5000), chance.choice([1, 7, 60, DAY]), 5) for _ in range(3)]
        for _ in range(30):
            now += chance.choice([0, 1, 999, 123_457, 9_999_999, -5000])
            await redis.hset(clock, mapping={"s": now // MICROSECONDS, "us": now % MICROSECONDS})
            cost = chance.randint(1, 3)
            assert await shared.take(limits, cost) == await local.take(limits, cost), f"seed {seed}"
    await redis.delete(clock)


async def test_tasks_of_four_processes_together_take_exactly_what_there_is(redis_url: str, redis: Redis) -> None:
    key = new_key()
    takers = [
        subprocess.Popen([sys.executable, "-c", TAKER, redis_url, key], cwd=ROOT, stdout=subprocess.PIPE)  # noqa: ASYNC220 - starting it takes no time
        for _ in range(4)
    ]
    taken = [int(taker.communicate(timeout=SECONDS)[0]) for taker in takers]

    assert sum(taken) == 100
    # the other limit was spent 100 times by 800 attempts: what was refused cost it nothing
    left = await Limiter(redis, "tests").look([Limit(f"{key}-wide", 1000, DAY)])
    assert left.outcomes[0].remaining == 900


async def test_what_one_limit_refuses_spends_nothing_in_any(redis: Redis) -> None:
    limiter = Limiter(redis, "tests")
    narrow, wide = Limit(new_key(), 1, DAY), Limit(new_key(), 10, DAY)
    assert (await limiter.take([narrow, wide])).allowed

    refused = [await limiter.take(limits) for limits in ([narrow, wide], [wide, narrow])]

    assert not any(decision.allowed for decision in refused)
    assert [outcome.limit for decision in refused for outcome in decision.refused] == [narrow, narrow]
    assert (await limiter.look([wide])).outcomes[0].remaining == 9
    assert 0 < refused[0].retry_after <= DAY


async def test_questions_that_travel_together_are_decided_as_if_one_came_after_the_other(redis: Redis) -> None:
    """At one moment of a clock that stands still, beside the same questions asked of a process one by one."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    limiter = Limiter(redis, "tests")

    for _ in range(20):
        names = [new_key() for _ in range(4)]
        # in a day nothing comes back while this runs
        limits = [Limit(name, chance.randint(1, 4), DAY * 1000) for name in names]
        questions = [
            Question(chance.sample(limits, chance.randint(0, 4)), spend=chance.random() < 0.8) for _ in range(30)
        ]
        local = LocalLimiter(clock=lambda: 0)

        together = await limiter.decide(questions)

        for question, decision in zip(questions, together, strict=True):
            alone = await (local.take if question.spend else local.look)(question.limits)
            assert [(out.limit, out.allowed, out.remaining) for out in decision.outcomes] == [
                (out.limit, out.allowed, out.remaining) for out in alone.outcomes
            ], f"seed {seed}"


async def test_what_one_question_is_refused_leaves_those_beside_it_alone(redis: Redis) -> None:
    limiter = Limiter(redis, "tests")
    narrow, wide = Limit(new_key(), 1, DAY), Limit(new_key(), 10, DAY)

    decisions = await limiter.decide(
        [Question([narrow]), Question([wide, narrow]), Question([wide]), Question([narrow, wide], spend=False)]
    )

    assert [decision.allowed for decision in decisions] == [True, False, True, False]
    assert [decision.outcomes[-1].remaining for decision in decisions] == [0, 0, 9, 9]
    assert (await limiter.look([wide])).outcomes[0].remaining == 9


async def test_a_key_of_another_type_spoils_no_other_question(redis: Redis) -> None:
    limiter, spoilt, others = Limiter(redis, "tests"), Limit(new_key(), 1, DAY), Limit(new_key(), 2, DAY)
    await redis.rpush(redis_key(spoilt), "list")

    decisions = await limiter.decide([Question([others]), Question([spoilt]), Question([spoilt]), Question([others])])

    assert [decision.allowed for decision in decisions] == [True, True, False, True]
    assert [decision.outcomes[0].remaining for decision in decisions] == [1, 0, 0, 0]


async def test_as_many_questions_as_go_together_with_as_many_limits_as_a_route_has(redis: Redis) -> None:
    limiter = Limiter(redis, "tests")
    limits = [Limit(new_key(), 100, DAY) for _ in range(8)]

    decisions = await limiter.decide([Question(limits)] * 64)

    assert [out.remaining for decision in decisions for out in decision.outcomes] == [
        99 - number for number in range(64) for _ in range(8)
    ]


async def test_limits_of_one_key_over_several_windows_count_apart(redis: Redis) -> None:
    limiter = Limiter(redis, "tests")
    minute, day = Limit(key := new_key(), 2, 60), Limit(key, 3, DAY)

    decisions = [await limiter.take([minute, day]) for _ in range(3)]

    assert [decision.allowed for decision in decisions] == [True, True, False]
    assert [outcome.remaining for outcome in decisions[-1].outcomes] == [0, 1]


async def test_looking_spends_nothing(redis: Redis) -> None:
    limiter: Limiter | LocalLimiter
    for limiter in (Limiter(redis, "tests"), LocalLimiter()):
        limit = Limit(new_key(), 1, DAY)

        looked = [await limiter.look([limit]) for _ in range(3)]

        assert all(decision.allowed for decision in looked)
        assert (await limiter.take([limit])).allowed
        assert not (await limiter.look([limit])).allowed


async def test_an_entry_ends_when_all_is_back_and_all_lie_in_one_slot(redis: Redis) -> None:
    limit = Limit(new_key(), 10, 1000)

    await Limiter(redis, "tests").take([limit], cost=3)

    # milliseconds: 3 of 10 in 1000 s, less what a busy machine takes to ask
    assert 270_000 < await redis.pttl(redis_key(limit)) <= 300_001


async def test_a_lower_limit_counts_from_now_on(redis: Redis) -> None:
    key = new_key()
    limiter = Limiter(redis, "tests")
    for _ in range(100):
        await limiter.take([Limit(key, 100, DAY)])

    refused = await limiter.take([Limit(key, 2, DAY)])

    assert not refused.allowed
    assert refused.retry_after <= DAY / 2  # not the hundred that were taken under the other one


async def test_flushed_scripts_are_loaded_again(redis: Redis) -> None:
    limiter, limit = Limiter(redis, "tests"), Limit(new_key(), 2, DAY)
    await limiter.take([limit])
    await redis.script_flush()

    assert (await limiter.take([limit])).allowed
    assert not (await limiter.take([limit])).allowed


@pytest.mark.parametrize("value", [["list"], "text", "9e99:0", "-5:3", ":", ""])
async def test_a_key_that_holds_anything_else_counts_as_new(redis: Redis, value: list[str] | str) -> None:
    limiter, limit = Limiter(redis, "tests"), Limit(new_key(), 1, DAY)
    if isinstance(value, list):
        await redis.rpush(redis_key(limit), *value)
    else:
        await redis.set(redis_key(limit), value)

    assert [(await limiter.take([limit])).allowed for _ in range(2)] == [True, False]
    assert await redis.pttl(redis_key(limit)) > 0


async def test_a_restarted_redis_limits_anew(own_redis: Server) -> None:
    async with open_redis(SecretStr(own_redis.url)) as client:
        limiter, limit = Limiter(client, "tests"), Limit(new_key(), 1, DAY)
        await limiter.take([limit])

        with own_redis.stopped():
            pass  # it keeps nothing on disk: scripts are gone too

        assert [(await limiter.take([limit])).allowed for _ in range(2)] == [True, False]


async def test_the_memory_of_a_process_is_bounded_and_forgets_the_longest_untouched() -> None:
    limiter = LocalLimiter(max_entries=3, clock=lambda: 0)
    one, *others = (Limit(f"test:{number}", 1, DAY) for number in range(4))

    for limit in (one, *others):
        await limiter.take([limit])

    assert (await limiter.look([one])).allowed
    assert not any([(await limiter.look([limit])).allowed for limit in others])


def test_what_cannot_be_counted_is_refused() -> None:
    for numbers in ((0, 60), (1, 0), (1, 60, 0), (10**6, 10**6)):
        with pytest.raises(ValueError, match="the limit a"):
            Limit("a", *numbers)


@pytest.mark.parametrize(
    ("limits", "cost"),
    [([Limit("a", 1, 60)], 2), ([Limit("a", 1, 60)], 0), ([Limit("a", 1, 60), Limit("a", 2, 60)], 1)],
)
async def test_what_could_never_be_allowed_is_an_error(limits: Sequence[Limit], cost: int) -> None:
    with pytest.raises(ValueError, match=r"never be allowed|one limit"):
        await LocalLimiter().take(limits, cost)

"""Limits in `state`: an outage costs few callers time, a crowd is none, and what is back decides again."""

import asyncio
import gc
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from services.common.limits import Decision, Limit
from services.common.redis import open_redis
from services.common.redis_limits import Question
from services.common.state_limits import CALLS, QUESTIONS, StateLimits, _Asked
from tests.support import waits
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
    decide = limits.limiter.decide

    async def counted(questions: Sequence[Question]) -> list[Decision]:
        nonlocal asks
        asks += 1
        return await decide(questions)

    monkeypatch.setattr(limits.limiter, "decide", counted)
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


@dataclass
class Commands:
    """What goes to Redis: how many questions each command takes, and how many are under way at once."""

    limits: StateLimits
    sizes: list[int] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    gate: asyncio.Event | None = None
    """Commands wait for it, where a test gives one."""

    def __post_init__(self) -> None:
        self._decide, self.limits.limiter.decide = self.limits.limiter.decide, self.decide  # type: ignore[method-assign]

    async def decide(self, questions: Sequence[Question]) -> list[Decision]:
        self.sizes.append(len(questions))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
            return await self._decide(questions)
        finally:
            self.under_way -= 1

    def hold(self) -> asyncio.Event:
        """Have commands wait until the event is set."""
        self.gate = asyncio.Event()
        return self.gate


@pytest.fixture
def commands(limits: StateLimits) -> Commands:
    return Commands(limits)


def asking(limits: StateLimits, *asked: Limit) -> list[asyncio.Task[Decision | None]]:
    """Somebody for each limit, in this order."""
    return [asyncio.create_task(limits.decide([limit])) for limit in asked]


async def full(limits: StateLimits, commands: Commands) -> list[asyncio.Task[Decision | None]]:
    """As many commands under way as may be, one question in each, and all of them held."""
    tasks: list[asyncio.Task[Decision | None]] = []
    for number in range(1, CALLS + 1):
        tasks += asking(limits, new_limit(1))
        await waits.until(lambda number=number: commands.under_way == number, "a command")  # type: ignore[misc]
    return tasks


def nothing_left(limits: StateLimits) -> bool:
    return (
        not limits._calls and not limits._waiting and not [t for t in asyncio.all_tasks() if t.get_name() == "limits"]
    )


async def test_a_question_that_comes_alone_goes_at_once(limits: StateLimits, commands: Commands) -> None:
    for _ in range(3):
        assert await limits.decide([new_limit(1)])

    assert commands.sizes == [1, 1, 1]


async def test_those_who_come_while_others_are_under_way_go_together_in_their_order(
    limits: StateLimits, commands: Commands
) -> None:
    go = commands.hold()
    first = await full(limits, commands)
    limit, other = new_limit(3), new_limit(1)
    later = asking(limits, limit, other, limit, other, limit, limit)
    await asyncio.sleep(0)
    go.set()
    decisions = [decision for decision in await asyncio.gather(*later) if decision]
    await asyncio.gather(*first)

    assert commands.sizes == [1] * CALLS + [6]
    assert [decision.allowed for decision in decisions] == [True, True, True, False, True, False]


async def test_those_who_come_at_one_moment_begin_one_command(limits: StateLimits, commands: Commands) -> None:
    tasks = asking(limits, *(new_limit(1) for _ in range(10)))
    await asyncio.sleep(0)

    assert len(limits._calls) == 1
    assert None not in await asyncio.gather(*tasks)
    assert commands.sizes == [10]


async def test_ten_thousand_callers_are_few_commands_and_each_is_counted_once(
    limits: StateLimits, commands: Commands
) -> None:
    limit = new_limit(9000)

    decisions = await asyncio.gather(*(limits.decide([limit]) for _ in range(10_000)))

    assert sum(decision.allowed for decision in decisions if decision) == 9000
    assert None not in decisions
    assert sum(commands.sizes) == 10_000
    assert max(commands.sizes) == QUESTIONS
    assert commands.most <= CALLS
    assert len(commands.sizes) <= 10_000 // QUESTIONS + 2 * CALLS
    await waits.until(lambda: nothing_left(limits), "the end of the commands")


async def test_a_caller_who_leaves_the_queue_is_not_asked_for(limits: StateLimits, commands: Commands) -> None:
    go = commands.hold()
    first = await full(limits, commands)
    limit = new_limit(3)
    stays, leaves, too = asking(limits, limit, limit, limit)
    await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.wait([leaves])
    go.set()
    decisions = await asyncio.gather(stays, too)
    await asyncio.gather(*first)

    assert [decision and decision.outcomes[0].remaining for decision in decisions] == [2, 1]
    assert leaves.cancelled()
    assert commands.sizes[CALLS:] == [2]


async def test_a_caller_who_leaves_under_way_hurts_nobody_beside_him(limits: StateLimits, commands: Commands) -> None:
    go = commands.hold()
    first = await full(limits, commands)
    limit = new_limit(3)
    later = asking(limits, limit, limit, limit)
    await asyncio.sleep(0)
    held = commands.hold()
    go.set()
    await asyncio.gather(*first)
    await waits.until(lambda: commands.under_way == 1, "the next command")
    later[0].cancel()  # he whose question the command began with
    await asyncio.wait(later[:1])
    held.set()
    decisions = await asyncio.gather(*later[1:])

    assert later[0].cancelled()
    assert [decision and decision.outcomes[0].remaining for decision in decisions] == [1, 0]  # his was counted
    assert await limits.decide([new_limit(1)])
    assert not limits.breaker.pausing


async def test_a_command_that_nobody_waits_for_any_longer_ends(limits: StateLimits, commands: Commands) -> None:
    commands.hold()  # for ever
    tasks = await full(limits, commands)
    queued = asking(limits, new_limit(1), new_limit(1))
    await asyncio.sleep(0)

    for task in tasks + queued:
        task.cancel()
    await asyncio.wait(tasks + queued)
    await waits.until(lambda: nothing_left(limits), "the end of the commands")

    commands.gate = None
    assert await limits.decide([new_limit(1)])


async def test_an_outage_in_the_middle_sends_all_on_and_is_asked_no_second_time(
    limits: StateLimits, commands: Commands, own_redis: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    limits.breaker._pause = 1000
    go = commands.hold()
    tasks = await full(limits, commands) + asking(limits, *(new_limit(1) for _ in range(3 * QUESTIONS)))
    await asyncio.sleep(0)
    capsys.readouterr()

    with own_redis.stopped():
        go.set()
        assert set(await asyncio.gather(*tasks)) == {None}
        assert await limits.decide([new_limit(1)]) is None

    assert commands.sizes[:CALLS] == [1] * CALLS
    assert len(commands.sizes) < 2 * CALLS  # one that had begun before the first failed at most
    assert limits.breaker.pausing
    assert capsys.readouterr().out.count("limits_decided_without_state") == 1
    await waits.until(lambda: nothing_left(limits), "the end of the commands")


async def test_after_a_pause_one_question_finds_out_and_the_others_do_not_wait(
    limits: StateLimits, commands: Commands
) -> None:
    go = commands.hold()
    limits.breaker._pause = 1000
    limits.breaker._failed_at = time.monotonic() - 1000

    tasks = asking(limits, *(new_limit(1) for _ in range(10)))
    done, waiting = await asyncio.wait(tasks, timeout=1)
    assert len(waiting) == 1
    assert {task.result() for task in done} == {None}
    go.set()
    assert await waiting.pop()

    assert commands.sizes == [1]
    assert not limits.breaker.pausing


async def test_a_restarted_redis_that_has_lost_its_scripts_decides_for_many(
    limits: StateLimits, commands: Commands, own_redis: Server
) -> None:
    assert await limits.decide([new_limit(1)])
    with own_redis.stopped():
        pass
    limits.breaker.succeeded()
    go = commands.hold()
    first = await full(limits, commands)
    limit = new_limit(2)
    later = asking(limits, limit, limit, limit)
    await asyncio.sleep(0)
    go.set()

    assert [decision and decision.allowed for decision in await asyncio.gather(*later)] == [True, True, False]
    assert None not in await asyncio.gather(*first)


async def test_a_fault_in_a_command_reaches_its_callers_and_stops_nobody_after_them(
    limits: StateLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(_: Sequence[Question]) -> list[Decision]:
        raise TypeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(limits.limiter, "decide", faulty)
        async with asyncio.timeout(waits.SECONDS):
            outcomes = await asyncio.gather(*asking(limits, new_limit(1), new_limit(1)), return_exceptions=True)

    assert [str(outcome) for outcome in outcomes] == ["a fault", "a fault"]
    assert await limits.decide([new_limit(1)])
    await waits.until(lambda: nothing_left(limits), "the end of the commands")


async def test_what_could_never_be_allowed_is_an_error_of_its_caller_alone(limits: StateLimits) -> None:
    twice = new_limit(1)
    with pytest.raises(ValueError, match="one limit"):
        await limits.decide([twice, twice])

    assert await limits.decide([twice])


async def test_callers_who_leave_at_once_are_not_asked_for_at_all(limits: StateLimits, commands: Commands) -> None:
    task = asyncio.create_task(limits.decide([new_limit(1)]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await waits.until(lambda: nothing_left(limits), "the end of the commands")

    assert commands.sizes == []


async def test_questions_leave_nothing_to_the_garbage_collector(limits: StateLimits) -> None:
    limit = new_limit(1000)
    gc.collect()
    gc.disable()
    try:
        await asyncio.gather(*(limits.decide([limit]) for _ in range(200)))
        await waits.until(lambda: nothing_left(limits), "the end of the commands")
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert not [found for found in gc.garbage if isinstance(found, _Asked)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

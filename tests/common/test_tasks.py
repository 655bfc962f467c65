"""Background tasks: begun again when they fail, and ended whatever they do with being cancelled."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from services.common import tasks
from services.common.exceptions import UnavailableError
from services.common.tasks import end, every, running, stop
from tests.support.waits import until

DEADLINE_SECONDS = 20.0


def losing(count: int, lost: list[int]) -> Callable[[], "asyncio.Task[None]"]:
    """Starts a task that takes so many cancellations for something else."""

    async def loop() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost.append(1)
                if len(lost) > count:
                    raise

    return lambda: asyncio.create_task(loop(), name="deaf")


async def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    lost: list[int] = []
    task = losing(2, lost)()
    await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await stop(task)

    assert (task.cancelled(), len(lost)) == (True, 3)


async def test_one_that_never_ends_is_told_of_and_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "STOP_SECONDS", 0.0)
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    lost: list[int] = []
    task = losing(1000, lost)()
    await asyncio.sleep(0)
    with capture_logs() as logged:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await stop(task)

    assert [(line["event"], line["task"]) for line in logged] == [("task_not_ended", "deaf")]
    lost.extend([1] * 1000)
    await end(task)


async def test_what_a_task_failed_with_is_told() -> None:
    async def fail() -> None:
        raise ValueError("odd")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)

    with pytest.raises(ValueError, match="odd"):
        await stop(task)


async def test_a_task_that_has_ended_is_left_alone() -> None:
    task = asyncio.create_task(asyncio.sleep(0, "done"))
    await task

    await stop(task)

    assert task.result() == "done"


async def test_a_loop_that_fails_is_told_and_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PAUSE_SECONDS", 0.01)
    begun = 0

    async def loop() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise ValueError("odd")
        await asyncio.sleep(60)

    with capture_logs() as logged:
        async with running(loop, "odd loop"):
            await until(lambda: begun == 3, "the third beginning")

    assert [(line["event"], line["task"], line["log_level"]) for line in logged] == [
        ("task_failed", "odd loop", "error")
    ] * 2


async def test_a_loop_ends_with_its_block_whatever_that_ends_with() -> None:
    ended = asyncio.Event()

    async def loop() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def block() -> None:
        async with running(loop, "loop"):
            await asyncio.sleep(0)
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        await block()

    assert ended.is_set()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "loop"] == []


async def test_work_is_done_again_whatever_went_wrong_and_only_the_unexpected_is_told() -> None:
    outcomes = [UnavailableError("Postgres is away"), ValueError("odd")]
    done = 0

    async def work() -> None:
        nonlocal done
        if outcomes:
            raise outcomes.pop(0)
        done += 1

    with capture_logs() as logged:
        async with running(lambda: every(0.01, work, failed="work_not_done"), "work"):
            await until(lambda: done > 1, "work after failures")

    assert [line["event"] for line in logged] == ["work_not_done"]

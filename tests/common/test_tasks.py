"""A task that is to end does, whatever it does with being cancelled."""

import asyncio

import pytest

from services.common.tasks import stop

DEADLINE_SECONDS = 5.0


async def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    lost = 0

    async def loop() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await stop(task)

    assert (task.cancelled(), lost) == (True, 3)


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

"""Tasks that run beside the requests: started, watched and ended in one way."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from services.common.exceptions import UnavailableError

AGAIN_SECONDS = 0.5  # time enough to give a connection back in order
STOP_SECONDS = 10.0
PAUSE_SECONDS = 1.0  # before what has failed is begun again

Loop = Callable[[], Coroutine[Any, Any, None]]

log = structlog.get_logger()


@asynccontextmanager
async def running(loop: Loop, name: str) -> AsyncGenerator[None]:
    """Run `loop` for as long as the block lasts. One that fails is told in the log and begun again a second later."""
    task = asyncio.create_task(_watched(loop, name), name=name)
    try:
        yield
    finally:
        await stop(task)


async def every(seconds: float, work: Callable[[], Awaitable[object]], *, failed: str) -> None:
    """Do the work now and so often for ever, whatever goes wrong; a loop for `running`.

    `failed` is the event that tells what was not expected. Of a database that is away its own part tells.
    """
    while True:
        try:
            await work()
        except UnavailableError:
            pass  # counted and told there
        except Exception:
            log.exception(failed)
        await asyncio.sleep(seconds)


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended; raises what it failed with, if it did.

    Once is not enough. `asyncio.wait_for` of Python 3.11 loses a cancellation that comes in the very moment in which
    what it waits for is there (python/cpython#86296), and clients may take one for a time-out of their own: a loop
    that asks Redis then goes on, and whoever waits for its end waits for ever. One that will not end at all is told
    of and left behind after ten seconds.
    """
    await end(task)
    if task.done() and not task.cancelled():
        task.result()


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until all have ended, whatever they failed with: for those whose outcome is known or unwanted."""
    waiting, loop = {*tasks}, asyncio.get_running_loop()
    deadline = loop.time() + STOP_SECONDS
    while waiting := {task for task in waiting if not task.done()}:
        if loop.time() > deadline:
            for task in waiting:
                log.error("task_not_ended", task=task.get_name(), at=repr(task.get_coro()))
            return
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # fetched: else asyncio would complain that nobody did


async def _watched(loop: Loop, name: str) -> None:
    while True:
        try:
            return await loop()
        except Exception:
            log.exception("task_failed", task=name)
        await asyncio.sleep(PAUSE_SECONDS)

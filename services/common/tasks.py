"""Ending tasks that run for ever."""

import asyncio
from contextlib import suppress
from typing import Any

AGAIN_SECONDS = 0.1


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended; raises what it failed with, if it did.

    Once is not enough. `asyncio.wait_for` of Python 3.11 loses a cancellation that comes in the very moment in which
    what it waits for is there (python/cpython#86296), and clients may take one for a time-out of their own: a loop
    that asks Redis then goes on, and whoever waits for its end waits for ever.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_SECONDS)
    with suppress(asyncio.CancelledError):
        task.result()

"""Waiting for what nobody announces, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

SECONDS = 45

T = TypeVar("T")


async def until(ask: Callable[[], Awaitable[T]], accept: Callable[[T], bool] = bool) -> T:
    """Ask until the answer is accepted and return it; fails showing the last one."""
    answer = await ask()
    try:
        async with asyncio.timeout(SECONDS):
            while not accept(answer):
                await asyncio.sleep(0.02)
                answer = await ask()
    except TimeoutError:
        pytest.fail(f"not within {SECONDS} s; the last answer: {getattr(answer, 'text', answer)!r}")
    return answer

"""Waiting for what nobody announces, with a deadline."""

import asyncio
from collections.abc import Callable

SECONDS = 45


async def until(condition: Callable[[], object], what: str, log: Callable[[], str] = str) -> None:
    """Return once the condition holds. Raises TimeoutError with what did not happen and the end of the log."""
    try:
        async with asyncio.timeout(SECONDS):
            while not condition():  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"{what} did not happen within {SECONDS} s; the log ends:\n{log()[-3000:]}") from None

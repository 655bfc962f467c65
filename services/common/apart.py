"""A connection beside the pool, for readiness: it is there however busy the pool is, and fails when the server does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

AWAY_AFTER = 2  # failures in a row: one may be the loop's own delay


class Apart:
    """One connection of the driver's own, made when first asked, replaced after a failure."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        """Take the function that connects."""
        self._connect = connect
        self._connection: Any = None
        self._lock = asyncio.Lock()
        self._failures = 0

    @property
    def away(self) -> bool:
        """Whether the server has not answered lately: no use in waiting for it once more."""
        return self._failures >= AWAY_AFTER

    async def fetchval(self, statement: str, *arguments: object) -> Any:
        """The first value of the answer; raises what the driver raises.

        Cancelled or without an answer, the connection is cut at once and waits for nobody.
        """
        async with self._lock:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connect()
                value = await self._connection.fetchval(statement, *arguments)
            except BaseException as error:
                if getattr(error, "sqlstate", None) is None:  # else it is an answer of the server's
                    self._failures += 1
                    self.close()
                raise
            self._failures = 0
            return value

    def close(self) -> None:
        """Cut the connection."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

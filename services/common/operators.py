"""Who may operate the platform: a token with the scope platform:operate. To everybody else there is nothing here."""

import asyncio
import concurrent.futures
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from services.common.exceptions import ServiceError
from services.common.tokens import Principal, TokenVerifier

SCOPE = "platform:operate"
SECONDS = 3.0  # for the loop to check a token that came to the management port


async def operator(verifier: TokenVerifier | None, authorization: str) -> Principal | None:
    """Who asks, if they may operate; None for everybody else, also while tokens cannot be checked."""
    scheme, _, token = authorization.partition(" ")
    if verifier is None or scheme.lower() != "bearer" or not token.strip():
        return None
    try:
        principal = await verifier.verify(token.strip())
    except ServiceError:
        return None
    return principal if SCOPE in principal.scopes else None


class Operators:
    """Checks tokens for the threads of the management port, on the application's loop."""

    def __init__(self) -> None:
        """Nobody may anything before the application is there."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self._verifier: TokenVerifier | None = None

    @asynccontextmanager
    async def checked_by(self, verifier: TokenVerifier | None) -> AsyncGenerator[None]:
        """Have this verifier asked for as long as the block lasts."""
        self.loop, self._verifier = asyncio.get_running_loop(), verifier
        try:
            yield
        finally:
            self.loop = self._verifier = None

    def find(self, authorization: str) -> Principal | None:
        """Who asks, if they may operate. Called from a thread; a loop that does not turn lets nobody in."""
        loop = self.loop
        if loop is None or not authorization:
            return None
        asked = asyncio.run_coroutine_threadsafe(operator(self._verifier, authorization), loop)
        try:
            return asked.result(SECONDS)
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            asked.cancel()
            return None

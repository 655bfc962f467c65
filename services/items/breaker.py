"""A pause for something that is away, so that its timeout is not paid by each request."""

import time


class Breaker:
    """Leaves a Redis that failed alone for a while; then one caller tries it for all."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause = pause_seconds
        self._failed_at: float | None = None

    def permits(self) -> bool:
        """Whether to try; whoever is let through after a pause keeps the others waiting for its outcome."""
        if self._failed_at is None:
            return True
        if time.monotonic() < self._failed_at + self._pause:
            return False
        self.failed()
        return True

    def failed(self) -> None:
        """Begin a pause."""
        self._failed_at = time.monotonic()

    def succeeded(self) -> None:
        """End it."""
        self._failed_at = None

"""Leaving alone what failed a moment ago, so that not every caller pays for finding out."""

import time


class Breaker:
    """Leaves a Redis that failed alone for a while; then one caller tries it for all."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause = pause_seconds
        self._failed_at: float | None = None

    @property
    def pausing(self) -> bool:
        """Whether Redis failed a moment ago."""
        return self._failed_at is not None and time.monotonic() < self._failed_at + self._pause

    def permits(self) -> bool:
        """Whether to try; whoever is let through after a pause keeps the others waiting for its outcome."""
        if self._failed_at is None:
            return True
        if self.pausing:
            return False
        self.failed()
        return True

    def failed(self) -> None:
        """Begin a pause."""
        self._failed_at = time.monotonic()

    def succeeded(self) -> None:
        """End it."""
        self._failed_at = None

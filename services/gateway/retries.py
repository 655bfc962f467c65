"""How many second attempts a service may be asked to bear."""

import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 10
RATIO = 0.2
FLOOR = 10  # retries in a window that are always permitted: few callers are not to see one dead pod

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110 9.2.2


class RetryBudget:
    """At most a fifth as many retries as requests in ten seconds, so that they cannot double an overload."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing spent."""
        self._clock = clock
        self._seconds: deque[list[int]] = deque()  # [second, requests, retries]

    def request(self) -> None:
        """Count a request, not its retries."""
        self._now()[1] += 1

    def take(self) -> bool:
        """Whether one more retry fits, which is then spent."""
        current = self._now()
        requests = sum(second[1] for second in self._seconds)
        retries = sum(second[2] for second in self._seconds)
        if retries + 1 > max(FLOOR, RATIO * requests):
            return False
        current[2] += 1
        return True

    def _now(self) -> list[int]:
        now = int(self._clock())
        if not self._seconds or self._seconds[-1][0] != now:
            self._seconds.append([now, 0, 0])
            while self._seconds[0][0] <= now - WINDOW_SECONDS:
                self._seconds.popleft()
        return self._seconds[-1]

"""One line for each request that is finished; of many in one second some, and of errors all."""

import time
from collections.abc import Callable

import structlog
from prometheus_client import Counter

ERROR, REFUSAL = 500, 400

log = structlog.get_logger()


class AccessLog:
    """Lets so many lines of a second pass, of what went well and of what was refused apart: no flood hides the other.

    Answers of 500 and above, and requests without an answer, always have their line.
    """

    def __init__(self, per_second: int, sampled_out: Counter, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the number of each, and where to count those that get none."""
        self._per_second = per_second
        self._sampled_out = sampled_out
        self._clock = clock
        self._second = 0
        self._left = {False: per_second, True: per_second}

    def wants(self, status: int) -> bool:
        """Whether this one is written; spends a line. `status` is 0 without an answer."""
        if status >= ERROR or status == 0:
            return True
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._left = {False: self._per_second, True: self._per_second}
        refused = status >= REFUSAL
        if self._left[refused] <= 0:
            self._sampled_out.inc()
            return False
        self._left[refused] -= 1
        return True

    def write(self, **fields: object) -> None:
        """Write the line."""
        log.info("request_finished", **fields)

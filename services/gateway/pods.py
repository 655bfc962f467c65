"""One pod behind a service: how busy it is, and whether it has failed lately."""

from services.gateway.client import Address

FAILURES = 3  # in a row: answers that broke or did not come; one refused connection is enough
FIRST_EJECTION_SECONDS = 1.0  # doubled each time
LONGEST_EJECTION_SECONDS = 30.0
LEAST_WEIGHT = 0.1  # of a pod that has just come


class Pod:
    """An address and what is known of it. All routes to the service share it."""

    def __init__(self, address: Address, *, born: float | None) -> None:
        """`born` is when it appeared among others; None for those that were there from the start."""
        self.address = address
        self.in_flight = 0
        self.ejections = 0  # in a row
        self.times_ejected = 0
        self._born = born
        self._failures = 0
        self._ejected_until = 0.0
        self._on_trial = False

    def weight(self, now: float, slow_start_seconds: float) -> float:
        """Its share of the requests: 1, and less while it is new, when its caches and pools are cold."""
        if self._born is None or now >= self._born + slow_start_seconds:
            return 1.0
        return max(LEAST_WEIGHT, (now - self._born) / slow_start_seconds)

    def is_usable(self, now: float) -> bool:
        """Whether to send it requests: not while it is ejected, and then only one until that has gone well."""
        return self.ejections == 0 or (now >= self._ejected_until and not self._on_trial)

    def is_ejected(self, now: float) -> bool:
        """Whether it is left alone now."""
        return self.ejections > 0 and now < self._ejected_until

    def begin(self) -> None:
        """A request is sent to it."""
        self.in_flight += 1
        self._on_trial = self.ejections > 0

    def end(self) -> None:
        """The request has ended, however it did; without a verdict the next may be the trial."""
        self.in_flight -= 1
        self._on_trial = False

    def succeeded(self) -> None:
        """It has answered."""
        self._failures = self.ejections = 0
        self._on_trial = False

    def failed(self, now: float, *, refused: bool) -> bool:
        """It has not; True when it is ejected for that."""
        self._failures += 1
        if now < self._ejected_until or not (refused or self.ejections or self._failures >= FAILURES):
            return False
        self._ejected_until = now + min(LONGEST_EJECTION_SECONDS, FIRST_EJECTION_SECONDS * 2**self.ejections)
        self.ejections += 1
        self.times_ejected += 1
        return True

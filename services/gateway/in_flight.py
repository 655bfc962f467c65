"""How many requests are forwarded at once; streams, which stay for hours, are counted apart."""

from services.gateway.exceptions import OverloadedError


class InFlight:
    """Refuses early (503, Retry-After) what would only wait."""

    def __init__(self, *, max_requests: int, max_streams: int) -> None:
        """Take the two limits."""
        self._limits = {"request": max_requests, "stream": max_streams}
        self._held = {"request": 0, "stream": 0}

    def admit(self, kind: str = "request") -> "Ticket":
        """Let one more in. Raises OverloadedError."""
        self.take(kind)
        return Ticket(self, kind)

    def take(self, kind: str) -> None:
        """Count one more. Raises OverloadedError."""
        if self._held[kind] >= self._limits[kind]:
            raise OverloadedError(f"{self._limits[kind]} {kind}s are being answered already")
        self._held[kind] += 1

    def give_back(self, kind: str) -> None:
        """Count one less."""
        self._held[kind] -= 1


class Ticket:
    """What one request holds, until it is given back."""

    def __init__(self, in_flight: InFlight, kind: str) -> None:
        """Take what it holds."""
        self._in_flight = in_flight
        self._kind = kind

    def become_stream(self) -> None:
        """Count as a stream from now on. Raises OverloadedError."""
        self._in_flight.take("stream")
        self._in_flight.give_back(self._kind)
        self._kind = "stream"

    def give_back(self) -> None:
        """Make room."""
        self._in_flight.give_back(self._kind)

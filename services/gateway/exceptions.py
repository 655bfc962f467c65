"""What the gateway answers by itself, and what can happen to a request that it has forwarded.

ServiceError
├── BadGatewayError (502)        ├── AmbiguousPathError (400)
├── UpstreamAwayError (503)      ├── TooManyRequestsError (429)
└── UpstreamTimeoutError (504)   ├── OverloadedError (503)
                                 └── UncountedError (503)

UpstreamError: of the client; becomes one of the three on the left
├── ConnectError: nothing was sent
├── BrokenAnswerError: closed, reset, or not HTTP
└── SlowAnswerError: not in time
"""

from collections.abc import Iterable

from services.common.exceptions import BadRequestError, ServiceError, UnavailableError


class BadGatewayError(ServiceError):
    """A service gave no answer that can be passed on (RFC 9110 15.6.3)."""

    status, title, slug = 502, "Bad gateway", "bad-gateway"


class UpstreamAwayError(UnavailableError):
    """No pod of a service takes connections."""

    title, slug = "Service away", "service-away"


class UpstreamTimeoutError(ServiceError):
    """A service did not answer in time (RFC 9110 15.6.5)."""

    status, title, slug = 504, "Gateway timeout", "gateway-timeout"


class OverloadedError(UnavailableError):
    """More requests at once than the gateway takes."""

    title, slug = "Overloaded", "overloaded"


class TooManyRequestsError(ServiceError):
    """A limit of the route refuses (RFC 6585 4); `Retry-After` says when it would not."""

    status, title, slug = 429, "Too many requests", "rate-limited"

    def __init__(self, retry_after_seconds: int, limits: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Take the seconds of the Retry-After header, and the headers that tell of the limits."""
        seconds = max(1, retry_after_seconds)
        self.limits = list(limits)
        super().__init__(
            f"More requests than the limits in RateLimit-Policy allow; the next one is in {seconds} s",
            headers={"Retry-After": str(seconds)},
        )


class UncountedError(UnavailableError):
    """The route answers only while its requests can be counted, and now they cannot."""

    title, slug = "Limits away", "limits-away"


class AmbiguousPathError(BadRequestError):
    """A path that two programs may read differently."""

    title, slug = "Ambiguous path", "ambiguous-path"


class UpstreamError(Exception):
    """A request did not get its answer; the message says why, for the log."""


class ConnectError(UpstreamError):
    """No connection came about: not a byte was sent."""


class BrokenAnswerError(UpstreamError):
    """The connection ended, or what came over it is no answer; `begun` when a part of one had come."""

    def __init__(self, reason: str, *, begun: bool) -> None:
        """Take the reason, and whether any byte had come."""
        super().__init__(reason)
        self.begun = begun


class SlowAnswerError(UpstreamError):
    """The answer did not begin in time, or stood still."""


class ClientGoneError(Exception):
    """The client hung up: there is nobody to answer."""


class StreamEndedError(Exception):
    """A stream is to end because this process drains: its client comes back to another."""

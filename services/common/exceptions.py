"""Errors with a status of their own; raised where the fact is known, rendered as problem+json."""

from collections.abc import Mapping
from random import randint
from typing import ClassVar


class CannotStartError(Exception):
    """Why this process does not start, and what to do, in a sentence; the log shows that and no stack."""


class ServiceError(Exception):
    """A refusal that the client may read. Subclasses name the status, the title and the type's slug."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal server error"
    slug: ClassVar[str] = "internal-error"

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        """Take a sentence for the client and headers that belong to the answer."""
        super().__init__(detail or self.title)
        self.detail = detail
        self.headers = dict(headers or {})


class BadRequestError(ServiceError):
    """What was asked cannot be understood (RFC 9110 15.5.1)."""

    status, title, slug = 400, "Bad request", "bad-request"


class UnauthenticatedError(ServiceError):
    """Nobody, or nobody we believe, is asking (RFC 9110 15.5.2, RFC 6750 3)."""

    status, title, slug = 401, "Not authenticated", "unauthenticated"

    def __init__(self, detail: str | None = None, *, challenge: str = "Bearer") -> None:
        """Take the challenge of the WWW-Authenticate header."""
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class ForbiddenError(ServiceError):
    """Somebody who may not is asking."""

    status, title, slug = 403, "Not allowed", "forbidden"


class NotFoundError(ServiceError):
    """There is no such thing, or not for this caller."""

    status, title, slug = 404, "Not found", "not-found"


class ConflictError(ServiceError):
    """The thing as it is does not allow it (RFC 9110 15.5.10)."""

    status, title, slug = 409, "Conflict", "conflict"


class PreconditionFailedError(ServiceError):
    """The thing has changed since the caller saw it (RFC 9110 13.1.1)."""

    status, title, slug = 412, "Precondition failed", "precondition-failed"


class UnsupportedMediaTypeError(ServiceError):
    """The body is in a form that the resource does not read (RFC 9110 15.5.16)."""

    status, title, slug = 415, "Unsupported media type", "unsupported-media-type"


class UnprocessableError(ServiceError):
    """Well formed, but its values cannot be used."""

    status, title, slug = 422, "Unprocessable content", "validation-error"


class UnavailableError(ServiceError):
    """Something this service needs is away; asking again later may help."""

    status, title, slug = 503, "Temporarily unavailable", "unavailable"

    def __init__(self, detail: str | None = None, *, retry_after_seconds: int | None = None) -> None:
        """Take the seconds of the Retry-After header; else one to three, so that not all come back at once."""
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds or retry_soon())})


def retry_soon() -> int:
    """Seconds after which to ask again: one to three, so that not all who were refused come back at once."""
    return randint(1, 3)

"""What may go wrong with people, in sentences for them."""

from services.common.exceptions import ServiceError, UnprocessableError


class TooManyAttemptsError(ServiceError):
    """Refused by a limit; trying again after a while helps (RFC 6585 4)."""

    status, title, slug = 429, "Too many attempts", "too-many-attempts"

    def __init__(self, retry_after_seconds: int) -> None:
        """Take the seconds of the Retry-After header; which of the limits it was stays unsaid."""
        seconds = max(1, retry_after_seconds)
        super().__init__(f"Too many attempts; try again in {seconds} seconds.", headers={"Retry-After": str(seconds)})


class WeakPasswordError(UnprocessableError):
    """A new password that is refused; the sentence helps to find a better one, and never quotes it."""

    title, slug = "Password refused", "weak-password"

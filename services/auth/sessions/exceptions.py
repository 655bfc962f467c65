"""What can go wrong with sessions, each with its status."""

from uuid import UUID

from services.common.exceptions import NotFoundError, UnauthenticatedError


class SessionNotFoundError(NotFoundError):
    """There is no such session, it has ended, or it is somebody else's: the answer must not tell which."""

    title, slug = "Session not found", "session-not-found"

    def __init__(self, session_id: UUID) -> None:
        """Name the session that was asked for."""
        super().__init__(f"You have no session {session_id}.")


class SignInAgainError(UnauthenticatedError):
    """What was shown to sign in does not count any more: the session ended, the password or the user changed."""

    title, slug = "Sign in again", "sign-in-again"

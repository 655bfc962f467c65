"""Signing in: a password, then a code where there is a second factor."""

from dataclasses import dataclass
from uuid import UUID

from services.auth.audit.record import Origin
from services.auth.users.account import Account
from services.auth.users.models import User


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whose password was right, and what is to be done before a session may start.

    `must_change_password`: it was a one-time password; nothing but `choose_password` works with it.
    """

    user: User
    needs_second_factor: bool
    must_change_password: bool


class SigningIn(Account):
    """Who somebody is."""

    async def sign_in(self, email: str, password: str, origin: Origin) -> SignIn:
        """Check a password. Then, in this order: `choose_password`, `second_factor`, SessionService.start.

        Raises BadCredentialsError, TooManyAttemptsError (429), UnavailableError (503, too many at once).
        """
        raise NotImplementedError

    async def second_factor(self, user_id: UUID, code: str, origin: Origin) -> list[str]:
        """Check a code of the authenticator or a recovery code; returns the session's methods (`amr`).

        Raises WrongCodeError, TooManyAttemptsError.
        """
        raise NotImplementedError

    async def confirm_password(self, user_id: UUID, password: str, origin: Origin) -> User:
        """Have somebody who is signed in show that it is them. Raises WrongPasswordError, TooManyAttemptsError."""
        raise NotImplementedError

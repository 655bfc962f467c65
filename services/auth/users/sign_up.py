"""Signing up: nothing is made before a code has come back from the mailbox."""

from uuid import UUID

from services.auth.audit.record import Origin
from services.auth.users.account import Account
from services.auth.users.models import User


class SigningUp(Account):
    """New accounts."""

    @property
    def sign_up_is_open(self) -> bool:
        """Whether a page offers it: it is not closed, and mail can leave."""
        raise NotImplementedError

    async def sign_up(self, name: str, email: str, password: str, origin: Origin) -> UUID:
        """Mail a code to the address; returns the id that the form for it carries. The same for known addresses.

        Raises SignUpClosedError, NoMailError, InvalidNameError, InvalidEmailError, WeakPasswordError,
        TooManyAttemptsError, UnavailableError.
        """
        raise NotImplementedError

    async def confirm_sign_up(self, code_id: UUID, code: str, origin: Origin) -> User:
        """Make the account. Raises WrongCodeError, CodeEndedError, TooManyAttemptsError, SignUpClosedError."""
        raise NotImplementedError

"""New passwords: changed by their owner, chosen in place of a one-time password, reset by mail."""

from uuid import UUID

from services.auth.audit.record import Origin
from services.auth.users.account import Account
from services.auth.users.sign_in import SignIn


class PasswordChanges(Account):
    """Each ends sessions, grants and tokens that stand on the password before."""

    async def change_password(
        self, user_id: UUID, old: str, new: str, origin: Origin, keep_session: UUID | None = None
    ) -> None:
        """Take another password; all sessions but `keep_session` end, and everything that was granted.

        Raises WrongPasswordError, WeakPasswordError, SignInAgainError (changed by somebody meanwhile),
        TooManyAttemptsError, UnavailableError.
        """
        raise NotImplementedError

    async def choose_password(self, email: str, one_time: str, new: str, origin: Origin) -> SignIn:
        """Use up a one-time password; what is returned goes on as after `sign_in`.

        Raises BadCredentialsError, WeakPasswordError, TooManyAttemptsError, UnavailableError.
        """
        raise NotImplementedError

    async def request_reset(self, email: str, origin: Origin) -> UUID:
        """Mail a code, if somebody has this address; returns the id that the form for it carries, in either case.

        Raises NoMailError, TooManyAttemptsError.
        """
        raise NotImplementedError

    async def reset(self, code_id: UUID, code: str, new: str, origin: Origin) -> None:
        """Take another password for a mailed code. Nobody is signed in by that: a second factor is asked for as ever.

        Raises WrongCodeError, CodeEndedError, WeakPasswordError, TooManyAttemptsError, UnavailableError.
        """
        raise NotImplementedError

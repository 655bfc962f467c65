"""Signing in: a password, then a code where there is a second factor.

Whoever does not know both an address and its password gets one and the same answer after the same work: a look-up, a
hash, an entry in the log.
"""

from dataclasses import dataclass
from uuid import UUID

from services.auth.audit.events import Event
from services.auth.audit.record import Origin
from services.auth.users.account import Account
from services.auth.users.emails import known_by
from services.auth.users.exceptions import BadCredentialsError, TooManyAttemptsError, WrongCodeError
from services.auth.users.models import User
from services.auth.users.passwords import Verdict
from services.common.exceptions import UnavailableError

METHODS = ["pwd", "otp", "mfa"]  # RFC 8176
COUNTED: dict[type[Exception], str] = {
    BadCredentialsError: "wrong_password",
    WrongCodeError: "wrong_code",
    TooManyAttemptsError: "limited",
    UnavailableError: "unavailable",
}


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
        user, verdict = await self._check(email, password, origin)
        if verdict.rehash:
            await self._rehash(user, password)
        return await self._signed_in(user)

    async def second_factor(self, user_id: UUID, code: str, origin: Origin) -> list[str]:
        """Check a code of the authenticator or a recovery code; returns the session's methods (`amr`).

        Raises WrongCodeError, TooManyAttemptsError, UserNotFoundError.
        """
        with self._metrics.attempt(COUNTED):
            return await self._second_factor(user_id, code, origin)

    async def _second_factor(self, user_id: UUID, code: str, origin: Origin) -> list[str]:
        user = await self.user(user_id)
        await self._users.release()
        await self._permit(self._limits.check_second_factor(user_id, origin.address), origin, user.email)
        method = await self._factors.check(user_id, code)
        if method is None:
            self._record(Event.SECOND_FACTOR_FAILED, user, origin)
        elif method == "recovery":
            self._record(Event.RECOVERY_CODE_USED, user, origin)
        await self._users.commit()
        if method is None:
            raise WrongCodeError
        self._metrics.signed_in()
        return METHODS

    async def _check(self, email: str, password: str, origin: Origin) -> tuple[User, Verdict]:
        """Whose these are. Raises BadCredentialsError, TooManyAttemptsError, UnavailableError."""
        with self._metrics.attempt(COUNTED):
            return await self._look(email, password, origin)

    async def _look(self, email: str, password: str, origin: Origin) -> tuple[User, Verdict]:
        known = known_by(email)
        await self._permit(self._limits.check(known or email, origin.address), origin, known)
        found = None if known is None else await self._users.by_email(known)
        await self._users.release()
        user, counts = found or (None, False)
        verdict = await self._passwords.verify(None if user is None else user.password_hash, password)
        if user is None or not (counts and verdict.ok):
            self._record(Event.SIGN_IN_FAILED, user, origin, why=_why(user, verdict))
            await self._users.commit()
            raise BadCredentialsError
        return user, verdict

    async def _signed_in(self, user: User) -> SignIn:
        """What is left to do. A factor that is added meanwhile changes `updated_at`, and no session starts."""
        is_on = await self._factors.is_on(user.id)
        await self._users.commit()
        found = SignIn(user, is_on, user.password_expires_at is not None)
        if not (found.needs_second_factor or found.must_change_password):
            self._metrics.signed_in()
        return found

    async def _rehash(self, user: User, password: str) -> None:
        """Hash anew with today's parameters, unless there is no place now: the next time will do as well."""
        try:
            again = await self._passwords.hash(password)
        except UnavailableError:
            return
        await self._users.rehash(user.id, user.password_hash, again)


def _why(user: User | None, verdict: Verdict) -> str:
    """For administrators, who read the log."""
    if user is None:
        return "unknown"
    if not verdict.ok:
        return "password"
    return "expired" if user.disabled_at is None else "disabled"

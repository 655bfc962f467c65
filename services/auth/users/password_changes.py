"""New passwords: changed by their owner, chosen in place of a one-time password, reset by mail.

Each is judged and hashed before a connection is taken, and then put in place of the one that was checked, if it is
still there: of two who change at once, the second has to sign in again.
"""

from typing import Any
from uuid import UUID

from services.auth.audit.events import Event
from services.auth.audit.record import Origin, record
from services.auth.revocations.record import revoke
from services.auth.sessions.exceptions import SignInAgainError
from services.auth.users.codes import Result
from services.auth.users.emails import check_email, words
from services.auth.users.exceptions import (
    BadCredentialsError,
    CodeEndedError,
    NoMailError,
    WeakPasswordError,
    WrongCodeError,
)
from services.auth.users.models import User
from services.auth.users.sign_in import SignIn, SigningIn


class PasswordChanges(SigningIn):
    """Each ends sessions, grants and tokens that stand on the password before."""

    async def change_password(
        self, user_id: UUID, old: str, new: str, origin: Origin, keep_session: UUID | None = None
    ) -> None:
        """Take another password; all sessions but `keep_session` end, and everything that was granted.

        Raises WrongPasswordError, WeakPasswordError, SignInAgainError (changed by somebody meanwhile),
        UserNotFoundError, TooManyAttemptsError, UnavailableError.
        """
        user = await self.confirm_password(user_id, old, origin)
        password_hash = await self._hash(user, old, new)
        changed = await self._users.replace_password(user.id, user.password_hash, password_hash, one_time=False)
        if changed is None:
            raise SignInAgainError("The password was changed meanwhile.")
        await self._changed(changed, Event.PASSWORD_CHANGED, origin, keep_session=keep_session)

    async def choose_password(self, email: str, one_time: str, new: str, origin: Origin) -> SignIn:
        """Use up a one-time password; what is returned goes on as after `sign_in`.

        Raises BadCredentialsError, WeakPasswordError, TooManyAttemptsError, UnavailableError.
        """
        user, _ = await self._check(email, one_time, origin)
        if user.password_expires_at is None:  # their own, which is changed by whoever is signed in
            raise BadCredentialsError
        password_hash = await self._hash(user, one_time, new)
        changed = await self._users.replace_password(user.id, user.password_hash, password_hash, one_time=True)
        if changed is None:
            raise BadCredentialsError
        await self._changed(changed, Event.PASSWORD_CHANGED, origin, one_time=True)
        return await self._signed_in(changed)

    async def request_reset(self, email: str, origin: Origin) -> UUID:
        """Mail a code, if somebody has this address; returns the id that the form for it carries, in either case.

        Raises NoMailError, InvalidEmailError, TooManyAttemptsError.
        """
        if not self._outbox.can_send:
            raise NoMailError
        address = check_email(email)
        await self._permit(self._limits.check_mail(address, origin.address), origin, address)
        found = await self._users.by_email(address)
        user = found[0] if found and found[0].disabled_at is None else None
        code = await self._codes.make("reset", address, known=user is not None)
        record(self._session, Event.PASSWORD_RESET_REQUESTED, origin, subject=user.id if user else None)
        await self._users.commit()
        if user is not None:
            self._outbox.post(user.email, *self._letters.reset(code.code))
        return code.id

    async def reset(self, code_id: UUID, code: str, new: str, origin: Origin) -> None:
        """Take another password for a mailed code. Nobody is signed in by that: a second factor is asked for as ever.

        Raises WrongCodeError, CodeEndedError, WeakPasswordError, TooManyAttemptsError, UnavailableError.
        """
        await self._permit(self._limits.check_code(code_id, origin.address), origin)
        email = await self._codes.email(code_id, "reset") or ""
        await self._users.release()
        # before the code, so that a weak one does not use it up; of the account no more is known than was typed
        await self._passwords.check_new(new, *words(email))
        password_hash = await self._passwords.hash(new)
        user = await self._users.lock_by_email(email)  # before the code's row, as whoever changes a password does
        outcome = await self._codes.check(code_id, "reset", code)
        if outcome.row is None or user is None or user.disabled_at is not None:
            await self._users.commit()
            raise WrongCodeError if outcome.result is Result.WRONG else CodeEndedError
        changed = await self._users.reset_password(user, password_hash)
        await self._changed(changed, Event.PASSWORD_RESET, origin)

    async def _hash(self, user: User, old: str, new: str) -> str:
        if new == old:
            raise WeakPasswordError("This is the password of before; choose another.")
        await self._passwords.check_new(new, user.name, *words(user.email))
        return await self._passwords.hash(new)

    async def _changed(
        self, user: User, event: Event, origin: Origin, *, keep_session: UUID | None = None, **details: Any
    ) -> None:
        """End what stands on the password before; the user's row is locked by its change."""
        await self._sessions.end_all(user.id, origin, keep_session, why=event.value)
        await self._sessions.revoke_grants(user.id, event.value)
        await self._codes.end(user.email, "reset")
        revoke(self._session, "user", user.id)
        self._record(event, user, origin, **details)
        await self._users.commit()
        self._wake()
        self._tell(user, self._letters.password_changed())

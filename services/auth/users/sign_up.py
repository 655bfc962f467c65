"""Signing up: nothing is made before a code has come back from the mailbox.

For an address that somebody has, all is done as for another, save that the mail says so and holds no code.
"""

from uuid import UUID

from uuid_utils.compat import uuid7

from services.auth.audit.events import Event
from services.auth.audit.record import Origin
from services.auth.users.account import Account
from services.auth.users.codes import Result
from services.auth.users.emails import check_email, check_name, words
from services.auth.users.exceptions import CodeEndedError, NoMailError, SignUpClosedError, WrongCodeError
from services.auth.users.models import User


class SigningUp(Account):
    """New accounts."""

    @property
    def sign_up_is_open(self) -> bool:
        """Whether a page offers it: it is not closed, and mail can leave."""
        return self._settings.sign_up == "open" and self._outbox.can_send

    async def sign_up(self, name: str, email: str, password: str, origin: Origin) -> UUID:
        """Mail a code to the address; returns the id that the form for it carries. The same for known addresses.

        Raises SignUpClosedError, NoMailError, InvalidNameError, InvalidEmailError, WeakPasswordError,
        TooManyAttemptsError, UnavailableError.
        """
        self._check_open()
        shown, address = check_name(name), check_email(email)
        await self._permit(self._limits.check_mail(address, origin.address), origin, address)
        await self._passwords.check_new(password, shown, *words(address))
        password_hash = await self._passwords.hash(password)
        is_free = await self._users.by_email(address) is None
        code = await self._codes.make("sign_up", address, known=is_free, name=shown, password_hash=password_hash)
        await self._users.commit()
        self._outbox.post(address, *(self._letters.sign_up(code.code) if is_free else self._letters.known()))
        return code.id

    async def confirm_sign_up(self, code_id: UUID, code: str, origin: Origin) -> User:
        """Make the account. Raises WrongCodeError, CodeEndedError, TooManyAttemptsError, SignUpClosedError."""
        self._check_open()
        await self._permit(self._limits.check_code(code_id, origin.address), origin)
        outcome = await self._codes.check(code_id, "sign_up", code)
        user = None
        if outcome.row is not None and outcome.row.name and outcome.row.password_hash:
            user = await self._users.add(
                uuid7(),
                email=outcome.row.email,
                name=outcome.row.name,
                password_hash=outcome.row.password_hash,
                verified=True,
            )
        if user is not None:
            roles = [role.name for role in await self._roles.named([self._settings.sign_up_role])]
            await self._roles.give(user.id, roles)
            self._record(Event.USER_SIGNED_UP, user, origin, roles=roles)
        await self._users.commit()
        if user is None:  # with the right code: somebody else has the address by now
            raise WrongCodeError if outcome.result is Result.WRONG else CodeEndedError
        return user

    def _check_open(self) -> None:
        if self._settings.sign_up != "open":
            raise SignUpClosedError
        if not self._outbox.can_send:
            raise NoMailError

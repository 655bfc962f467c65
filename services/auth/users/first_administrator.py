"""The first administrator: made by whoever installs, with a password that is good for a day and must be changed."""

from uuid_utils.compat import uuid7

from services.auth.audit.events import Event
from services.auth.scopes import PERSONAL_SCOPES, SCOPES
from services.auth.users import crockford
from services.auth.users.administration import Administration
from services.auth.users.emails import check_email
from services.auth.users.exceptions import AdministratorExistsError, EmailTakenError
from services.auth.users.passwords import PasswordHasher
from services.auth.users.role_repository import ADMINISTERS
from services.auth.users.schemas import OneTimePassword
from services.auth.users.user_administration import ONE_TIME_CHARACTERS, ONE_TIME_SECONDS

ROLE = "admin"


class FirstAdministrator(Administration):
    """Of two at once one is made."""

    async def make(self, email: str, passwords: PasswordHasher) -> OneTimePassword:
        """Have this address administer. Somebody whose one-time password has run out unused gets another.

        Raises InvalidEmailError, and AdministratorExistsError when somebody can sign in who may administer users.
        """
        address = check_email(email)
        password = crockford.make(ONE_TIME_CHARACTERS)
        password_hash = await passwords.hash(password)
        await self._lock()
        if self._administrators:
            raise AdministratorExistsError
        await self._have_role()
        user = await self._users.lock_by_email(address)
        if user is None:
            user = await self._users.add(uuid7(), email=address, name=address[:100], password_hash=password_hash)
            if user is None:  # signed up at this very moment; the next try finds them
                raise EmailTakenError
            self._record(Event.USER_CREATED, user.id, roles=[ROLE])
        names = {role.name for role in await self._roles.of(user.id)} | {ROLE}
        await self._roles.give(user.id, names)
        await self._users.change(user.id, disabled_at=None)
        expires_at = await self._users.put_one_time_password(user.id, password_hash, ONE_TIME_SECONDS)
        await self._end_all(user.id, "one_time_password")
        self._record(Event.ONE_TIME_PASSWORD_MADE, user.id, roles=sorted(names))
        await self._commit()
        return OneTimePassword(one_time_password=password, expires_at=expires_at)

    async def _have_role(self) -> None:
        """The role as it is, if it administers; else with every scope again."""
        role = await self._roles.lock_role(ROLE)
        if role is None or ADMINISTERS not in role.scopes:
            scopes = [scope for scope in SCOPES if scope not in PERSONAL_SCOPES]
            await self._roles.put(ROLE, "Everything", scopes)
            self._record(Event.ROLE_CHANGED, ROLE, scopes=scopes)

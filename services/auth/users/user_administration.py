"""What administrators can do with users."""

from collections.abc import Sequence
from uuid import UUID

from uuid_utils.compat import uuid7

from services.auth.audit.events import Event
from services.auth.users import crockford
from services.auth.users.administration import Administration
from services.auth.users.exceptions import EmailTakenError, UnknownRolesError, UserNotFoundError
from services.auth.users.models import User
from services.auth.users.passwords import PasswordHasher
from services.auth.users.schemas import OneTimePassword, UserCreated, UserPage, UserRead

ONE_TIME_CHARACTERS = 20  # of 100 bits
ONE_TIME_SECONDS = 86_400


class UserAdministration(Administration):
    """Users, for administrators. Each method raises MoreThanYoursError, and UserNotFoundError where it names one."""

    async def page(self, after: UUID | None, limit: int) -> UserPage:
        """Users in the order in which they came."""
        rows = await self._users.page(after, limit + 1)
        users, more = rows[:limit], rows[limit:]
        roles = await self._roles.names_of(user.id for user in users)
        items = [shown(user, roles[user.id]) for user in users]
        return UserPage(items=items, next_cursor=items[-1].id if more else None)

    async def read(self, user_id: UUID) -> UserRead:
        """One user."""
        user = await self._users.get(user_id)
        if user is None:
            raise UserNotFoundError(user_id)
        return await self._shown(user)

    async def find(self, email: str) -> UUID:
        """Whose address it is. Raises UserNotFoundError."""
        found = await self._users.by_email(email)
        if found is None:
            raise UserNotFoundError(email)
        return found[0].id

    async def create(self, email: str, name: str, roles: Sequence[str], passwords: PasswordHasher) -> UserCreated:
        """Make a user, who begins with a one-time password. Raises EmailTakenError, UnknownRolesError."""
        password = crockford.make(ONE_TIME_CHARACTERS)
        password_hash = await passwords.hash(password)
        await self._lock()
        await self._check_roles(roles)
        user = await self._users.add(uuid7(), email=email, name=name, password_hash=password_hash)
        if user is None:
            raise EmailTakenError
        await self._roles.give(user.id, roles)
        expires_at = await self._users.put_one_time_password(user.id, password_hash, ONE_TIME_SECONDS)
        self._record(Event.USER_CREATED, user.id, roles=sorted(roles))
        made = shown(user, roles)
        await self._session.commit()
        return UserCreated(**made.model_dump(), one_time_password=password, expires_at=expires_at)

    async def rename(self, user_id: UUID, name: str | None) -> UserRead:
        """Give a user another name; None keeps it."""
        user = await self._target(user_id)
        if name is not None and name != user.name:
            user = await self._users.change(user_id, name=name)
            self._record(Event.USER_CHANGED, user_id, changed=["name"])
        read = await self._shown(user)
        await self._session.commit()
        return read

    async def disable(self, user_id: UUID) -> UserRead:
        """Keep a user out from now on: sessions, grants and tokens end. Raises LastAdministratorError."""
        await self._lock()
        user = await self._target(user_id)
        if user.disabled_at is None:
            user = await self._users.disable(user_id)
            await self._check_administrators()
            await self._end_all(user_id, "disabled")
            self._record(Event.USER_DISABLED, user_id)
        read = await self._shown(user)
        await self._commit()
        return read

    async def enable(self, user_id: UUID) -> UserRead:
        """Let a user in again; what had ended stays so."""
        await self._lock()
        user = await self._target(user_id)
        if user.disabled_at is not None:
            user = await self._users.change(user_id, disabled_at=None)
            self._record(Event.USER_ENABLED, user_id)
        read = await self._shown(user)
        await self._session.commit()
        return read

    async def delete(self, user_id: UUID) -> None:
        """Forget a user and all that is theirs here. Raises LastAdministratorError."""
        await self._lock()
        await self._target(user_id, remove=True)
        await self._end_all(user_id, "deleted")
        self._record(Event.USER_DELETED, user_id)
        await self._users.remove(user_id)
        await self._check_administrators()
        await self._commit()

    async def set_roles(self, user_id: UUID, roles: Sequence[str]) -> UserRead:
        """Have a user hold these roles and no other; their tokens are refused, new ones have the scopes of now.

        Raises UnknownRolesError, LastAdministratorError.
        """
        await self._lock()
        user = await self._target(user_id)
        before = [role.name for role in await self._roles.of(user_id)]
        await self._check_roles(roles)
        if set(before) != set(roles):
            await self._roles.give(user_id, roles)
            await self._check_administrators()
            user = await self._users.change(user_id)
            self._revoke(user_id)
            self._record(Event.USER_ROLES_CHANGED, user_id, before=before, after=sorted(roles))
        read = await self._shown(user)
        await self._commit()
        return read

    async def one_time_password(self, user_id: UUID, passwords: PasswordHasher) -> OneTimePassword:
        """Put a one-time password in place of a user's own, which is forgotten; sessions, grants and tokens end."""
        password = crockford.make(ONE_TIME_CHARACTERS)
        password_hash = await passwords.hash(password)
        await self._target(user_id)
        expires_at = await self._users.put_one_time_password(user_id, password_hash, ONE_TIME_SECONDS)
        await self._end_all(user_id, "one_time_password")
        self._record(Event.ONE_TIME_PASSWORD_MADE, user_id)
        await self._commit()
        return OneTimePassword(one_time_password=password, expires_at=expires_at)

    async def sign_out(self, user_id: UUID) -> None:
        """End all of a user's sessions, grants and tokens."""
        await self._target(user_id)
        await self._end_all(user_id, "signed_out_everywhere")
        self._record(Event.USER_SIGNED_OUT_EVERYWHERE, user_id)
        await self._commit()

    async def _check_roles(self, names: Sequence[str]) -> None:
        """Raise UnknownRolesError, or MoreThanYoursError for roles with more than the actor has."""
        roles = await self._roles.named(names)
        if missing := set(names) - {role.name for role in roles}:
            raise UnknownRolesError(missing)
        for role in roles:
            self._require(role.scopes)

    async def _shown(self, user: User) -> UserRead:
        return shown(user, [role.name for role in await self._roles.of(user.id)])


def shown(user: User, roles: Sequence[str]) -> UserRead:
    """A user without what nobody is to see."""
    known = user.model_dump(include={"id", "email", "name", "created_at", "updated_at", "disabled_at"})
    return UserRead(
        **known,
        email_verified=user.email_verified_at is not None,
        roles=sorted(roles),
        must_change_password=user.password_expires_at is not None,
    )

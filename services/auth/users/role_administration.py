"""What administrators can do with roles. Whoever has a role that loses a scope needs other tokens at once."""

from collections.abc import Sequence

from services.auth.audit.events import Event
from services.auth.users.administration import Administration
from services.auth.users.exceptions import RoleNotFoundError
from services.auth.users.schemas import RoleList, RoleRead


class RoleAdministration(Administration):
    """Roles, for administrators. Changes raise MoreThanYoursError and LastAdministratorError."""

    async def all(self) -> RoleList:
        """All roles, by name."""
        return RoleList(items=[RoleRead.model_validate(role) for role in await self._roles.all()])

    async def put(self, name: str, description: str, scopes: Sequence[str]) -> RoleRead:
        """Have the role be this, new or not."""
        await self._lock()
        role = await self._roles.lock_role(name)
        had = set(role.scopes) if role else set()
        self._require(had | set(scopes))
        if role is None or (had, role.description) != (set(scopes), description):
            role = await self._roles.put(name, description, scopes)
            await self._check_administrators()
            if had - set(scopes):
                await self._revoke_holders(name)
            self._record(Event.ROLE_CHANGED, name, before=sorted(had), after=sorted(scopes))
        read = RoleRead.model_validate(role)
        await self._commit()
        return read

    async def delete(self, name: str) -> None:
        """Forget a role and take it from whoever has it. Raises RoleNotFoundError."""
        await self._lock()
        role = await self._roles.lock_role(name)
        if role is None:
            raise RoleNotFoundError(name)
        self._require(role.scopes)
        await self._revoke_holders(name)
        self._record(Event.ROLE_REMOVED, name, before=sorted(role.scopes))
        await self._roles.remove(name)
        await self._check_administrators()
        await self._commit()

    async def _revoke_holders(self, name: str) -> None:
        for user_id in await self._users.lock_all(await self._roles.holders(name)):
            self._revoke(user_id)

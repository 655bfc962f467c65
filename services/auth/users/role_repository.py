"""Every SQL statement about roles and who has them. Nothing here commits.

Whoever changes who may administer takes one lock first: of two at once, the later one sees what the earlier did.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.users.models import Role, User, UserRole

LOCK = 5_021_884_311  # any number, the same for ever
ADMINISTERS = "users:admin"


class RoleRepository:
    """Roles in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self) -> None:
        """Be the only one, until the transaction ends, to change who has which scopes."""
        await self._session.exec(select(func.pg_advisory_xact_lock(LOCK)))

    async def administrators(self) -> int:
        """How many may administer users and can sign in: with a password, or a one-time password that still counts."""
        expires_at = col(User.password_expires_at)
        statement = (
            select(func.count(func.distinct(col(User.id))))
            .join(UserRole, col(UserRole.user_id) == col(User.id))
            .join(Role, col(Role.name) == col(UserRole.role))
            .where(
                col(Role.scopes).contains([ADMINISTERS]),
                col(User.disabled_at).is_(None),
                or_(expires_at.is_(None), expires_at > func.clock_timestamp()),
            )
        )
        return (await self._session.exec(statement)).one()

    async def all(self) -> list[Role]:
        """All roles, by name."""
        return list((await self._session.exec(select(Role).order_by(col(Role.name)))).all())

    async def lock_role(self, name: str) -> Role | None:
        """One role; until the transaction ends nobody gets it who does not have it."""
        statement = select(Role).where(col(Role.name) == name).with_for_update()
        return (await self._session.exec(statement, execution_options={"populate_existing": True})).one_or_none()

    async def named(self, names: Iterable[str]) -> list[Role]:
        """Those of the roles that are there, and stay there until the transaction ends."""
        statement = select(Role).where(col(Role.name).in_(set(names))).order_by(col(Role.name))
        kept = statement.with_for_update(read=True, key_share=True)
        return list((await self._session.exec(kept, execution_options={"populate_existing": True})).all())

    async def put(self, name: str, description: str, scopes: Sequence[str]) -> Role:
        """Have the role be this."""
        values = {"description": description, "scopes": list(scopes)}
        statement = (
            insert(Role)
            .values(name=name, **values)
            .on_conflict_do_update(index_elements=[col(Role.name)], set_=values)
            .returning(Role)
        )
        put: Role = (await self._session.exec(statement, execution_options={"populate_existing": True})).scalars().one()
        return put

    async def remove(self, name: str) -> None:
        """Forget a role; take it from whoever has it."""
        await self._session.exec(delete(UserRole).where(col(UserRole.role) == name))
        await self._session.exec(delete(Role).where(col(Role.name) == name))

    async def holders(self, name: str) -> list[UUID]:
        """Who has the role."""
        return list((await self._session.exec(select(UserRole.user_id).where(col(UserRole.role) == name))).all())

    async def of(self, user_id: UUID) -> list[Role]:
        """A user's roles, by name."""
        statement = select(Role).join(UserRole).where(col(UserRole.user_id) == user_id).order_by(col(Role.name))
        return list((await self._session.exec(statement, execution_options={"populate_existing": True})).all())

    async def names_of(self, user_ids: Iterable[UUID]) -> Mapping[UUID, list[str]]:
        """The roles of several users, by name."""
        found: dict[UUID, list[str]] = {user_id: [] for user_id in user_ids}
        statement = select(UserRole).where(col(UserRole.user_id).in_(found)).order_by(col(UserRole.role))
        for row in (await self._session.exec(statement)).all():
            found[row.user_id].append(row.role)
        return found

    async def give(self, user_id: UUID, names: Iterable[str]) -> None:
        """Have a user hold these roles and no other."""
        wanted = sorted(set(names))
        await self._session.exec(
            delete(UserRole).where(col(UserRole.user_id) == user_id, col(UserRole.role).not_in(wanted))
        )
        if wanted:
            rows = [{"user_id": user_id, "role": name} for name in wanted]
            await self._session.exec(insert(UserRole).values(rows).on_conflict_do_nothing())

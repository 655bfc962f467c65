"""Every SQL statement about users. Nothing here commits by itself.

`updated_at` is the wall clock read under the row's lock: whoever has seen a user as of one moment finds out whether
anything about them was changed since.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.users.models import User

NOW = func.clock_timestamp()


class UserRepository:
    """Users in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def commit(self) -> None:
        """End the transaction and make its changes last."""
        await self._session.commit()

    async def release(self) -> None:
        """End the transaction without a commit: its connection goes back into the pool."""
        await self._session.close()

    async def get(self, user_id: UUID) -> User | None:
        """A user, disabled or not."""
        return await self._one(select(User).where(col(User.id) == user_id))

    async def by_email(self, email: str) -> tuple[User, bool] | None:
        """A user, and whether their password counts: not when disabled, nor a one-time password that is too old."""
        expires_at = col(User.password_expires_at)
        counts = and_(col(User.disabled_at).is_(None), or_(expires_at.is_(None), expires_at > NOW))
        statement = select(User, counts).where(col(User.email) == email)
        found = (await self._session.exec(statement, execution_options={"populate_existing": True})).one_or_none()
        return None if found is None else (found[0], bool(found[1]))

    async def lock(self, user_id: UUID, *, remove: bool = False) -> User | None:
        """A user as they are once everybody else is done; nobody changes them, or relies on them, until the end."""
        return await self._one(select(User).where(col(User.id) == user_id).with_for_update(key_share=not remove))

    async def lock_by_email(self, email: str) -> User | None:
        """Likewise."""
        return await self._one(select(User).where(col(User.email) == email).with_for_update(key_share=True))

    async def lock_all(self, user_ids: Sequence[UUID]) -> list[UUID]:
        """Likewise for many, in one order, so that two who do so do not wait for each other."""
        statement = select(User.id).where(col(User.id).in_(user_ids)).order_by(col(User.id))
        return list((await self._session.exec(statement.with_for_update(key_share=True))).all())

    async def page(self, after: UUID | None, limit: int) -> list[User]:
        """Users in the order in which they came, from behind one on."""
        statement = select(User).order_by(col(User.id)).limit(limit)
        if after is not None:
            statement = statement.where(col(User.id) > after)
        return list((await self._session.exec(statement)).all())

    async def add(
        self, user_id: UUID, *, email: str, name: str, password_hash: str, verified: bool = False
    ) -> User | None:
        """A new user; None when somebody has the address. `verified`: a code that was mailed there has come back."""
        verified_at = NOW if verified else None
        statement = (
            insert(User)
            .values(id=user_id, email=email, name=name, password_hash=password_hash, email_verified_at=verified_at)
            .on_conflict_do_nothing(index_elements=[col(User.email)])
            .returning(User)
        )
        return await self._changed(statement)

    async def change(self, user_id: UUID, **values: Any) -> User:
        """Change a user whose row is locked."""
        changed = await self._changed(_update(User.id == user_id, **values))
        assert changed is not None  # noqa: S101 - it is locked
        return changed

    async def reset_password(self, user: User, password_hash: str) -> User:
        """Another password for a locked user who has shown that the address is theirs."""
        verified_at = user.email_verified_at or NOW
        return await self.change(
            user.id, password_hash=password_hash, password_expires_at=None, email_verified_at=verified_at
        )

    async def disable(self, user_id: UUID) -> User:
        """Keep a locked user out from now on."""
        return await self.change(user_id, disabled_at=NOW)

    async def replace_password(self, user_id: UUID, before: str, password_hash: str, *, one_time: bool) -> User | None:
        """Put one's own password in place of the one that was checked; None if it is another by now, or disabled."""
        expires_at = col(User.password_expires_at)
        return await self._changed(
            _update(
                and_(
                    col(User.id) == user_id,
                    col(User.password_hash) == before,
                    col(User.disabled_at).is_(None),
                    expires_at > NOW if one_time else expires_at.is_(None),
                ),
                password_hash=password_hash,
                password_expires_at=None,
            )
        )

    async def rehash(self, user_id: UUID, before: str, password_hash: str) -> None:
        """Keep the same password under another hash, if it is still that one. Nothing has changed for anybody."""
        which = (col(User.id) == user_id, col(User.password_hash) == before)
        await self._session.exec(update(User).where(*which).values(password_hash=password_hash))

    async def put_one_time_password(self, user_id: UUID, password_hash: str, seconds: int) -> datetime:
        """Have a locked user's password replaced by one that is good for so long; until when."""
        until = NOW + timedelta(seconds=seconds)
        changed = await self.change(user_id, password_hash=password_hash, password_expires_at=until)
        assert changed.password_expires_at is not None  # noqa: S101 - as it was put
        return changed.password_expires_at

    async def remove(self, user_id: UUID) -> None:
        """Forget a user and all that is theirs."""
        await self._session.exec(delete(User).where(col(User.id) == user_id))

    async def _one(self, statement: Any) -> User | None:
        """Read anew, whatever the session knows: others may have changed the row before it was locked."""
        options = {"populate_existing": True}
        found: User | None = (await self._session.exec(statement, execution_options=options)).one_or_none()
        return found

    async def _changed(self, statement: Any) -> User | None:
        options = {"populate_existing": True}
        changed: User | None = (await self._session.exec(statement, execution_options=options)).scalars().one_or_none()
        return changed


def _update(which: Any, **values: Any) -> Any:
    return update(User).where(which).values(**values, updated_at=NOW).returning(User)

"""Every SQL statement about sessions, and those about users and grants that a session depends on."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Text, Uuid, and_, column, func, not_, table
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col, insert, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.sessions.models import UserSession

SEEN_SECONDS = 60  # how exact `seen_at` is: a session at work is not written on each request

# tables of the nouns above this one, as far as sessions read or end what is in them
USERS = table(
    "users",
    column("id", Uuid),
    column("disabled_at", DateTime(timezone=True)),
    column("password_expires_at", DateTime(timezone=True)),
    column("updated_at", DateTime(timezone=True)),
)
GRANTS = table(
    "grants",
    column("id", Uuid),
    column("user_id", Uuid),
    column("session_id", Uuid),
    column("scopes", ARRAY(Text)),
    column("revoked_at", DateTime(timezone=True)),
    column("revoked_why", Text),
)
OFFLINE = "offline_access"


class SessionRepository:
    """Sessions in one transaction. Times are the database's."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def commit(self) -> None:
        """End the transaction and make its changes last."""
        await self._session.commit()

    async def lock_user(self, user_id: UUID, *, change: bool) -> bool:
        """Hold the user's row until the transaction ends: to change what they have, or to rely on what they are.

        Who changes waits for all who rely, and the other way round. False: there is no such user.
        """
        statement = select(USERS.c.id).where(USERS.c.id == user_id)
        statement = statement.with_for_update(read=not change, key_share=change)
        return (await self._session.exec(statement)).one_or_none() is not None

    async def may_sign_in(self, user_id: UUID, as_of: datetime | None) -> bool:
        """Whether the user is enabled, has a password of their own, and has not changed since `as_of`."""
        allowed = [USERS.c.id == user_id, USERS.c.disabled_at.is_(None), USERS.c.password_expires_at.is_(None)]
        if as_of is not None:
            allowed.append(USERS.c.updated_at == as_of)
        return (await self._session.exec(select(USERS.c.id).where(*allowed))).one_or_none() is not None

    async def add(self, seconds: int, values: Mapping[str, Any]) -> UserSession:
        """Insert a session that lasts so many seconds at most."""
        expires_at = func.now() + timedelta(seconds=seconds)
        statement = insert(UserSession).values(**values, expires_at=expires_at).returning(UserSession)
        added: UserSession = (await self._session.exec(statement)).scalars().one()
        return added

    async def find(self, token_hash: bytes, idle_seconds: int) -> UserSession | None:
        """The live session with this value."""
        statement = _of_enabled_users().where(col(UserSession.token_hash) == token_hash, *_live(idle_seconds))
        found: UserSession | None = (await self._session.exec(statement)).one_or_none()
        return found

    async def see(self, session_id: UUID) -> bool:
        """Note that a session is in use; False when that was noted within the last minute."""
        noted = func.now() - timedelta(seconds=SEEN_SECONDS)
        statement = update(UserSession).where(col(UserSession.id) == session_id, col(UserSession.seen_at) < noted)
        seen = (await self._session.exec(statement.values(seen_at=func.now()))).rowcount
        return bool(seen)

    async def live_of(self, user_id: UUID, idle_seconds: int) -> list[UserSession]:
        """The user's live sessions, the newest first."""
        statement = _of_enabled_users().where(col(UserSession.user_id) == user_id, *_live(idle_seconds))
        newest = (col(UserSession.created_at).desc(), col(UserSession.id).desc())
        return list((await self._session.exec(statement.order_by(*newest))).all())

    async def renew(
        self, session_id: UUID, idle_seconds: int, token_hash: bytes, methods: list[str]
    ) -> UserSession | None:
        """Give a live session another value and the time and ways of this authentication."""
        statement = (
            update(UserSession)
            .where(col(UserSession.id) == session_id, *_live(idle_seconds))
            .values(token_hash=token_hash, methods=methods, authenticated_at=func.now(), seen_at=func.now())
            .returning(UserSession)
        )
        renewed: UserSession | None = (await self._session.exec(statement)).scalars().one_or_none()
        return renewed

    async def end(self, user_id: UUID, session_id: UUID) -> bool:
        """End one of the user's sessions; False when it was not there or had ended."""
        return bool(await self._end(col(UserSession.user_id) == user_id, col(UserSession.id) == session_id))

    async def end_all(self, user_id: UUID, except_id: UUID | None) -> list[UUID]:
        """End the user's sessions; returns which."""
        others = [] if except_id is None else [col(UserSession.id) != except_id]
        return await self._end(col(UserSession.user_id) == user_id, *others)

    async def _end(self, *which: ColumnElement[bool]) -> list[UUID]:
        statement = update(UserSession).where(col(UserSession.ended_at).is_(None), *which).values(ended_at=func.now())
        ended = await self._session.exec(statement.returning(col(UserSession.id)))
        return list(ended.scalars().all())

    async def revoke_grants_of(self, session_id: UUID, why: str) -> list[UUID]:
        """Revoke what a session was granted, save what was meant to outlast it (OpenID Connect Core 11)."""
        offline = GRANTS.c.scopes.contains([OFFLINE])
        return await self._revoke(why, and_(GRANTS.c.session_id == session_id, not_(offline)))

    async def revoke_grants(self, user_id: UUID, except_session_id: UUID | None, why: str) -> list[UUID]:
        """Revoke all that a user granted, save from one session; returns which."""
        others = [] if except_session_id is None else [GRANTS.c.session_id.is_distinct_from(except_session_id)]
        return await self._revoke(why, GRANTS.c.user_id == user_id, *others)

    async def _revoke(self, why: str, *which: ColumnElement[bool]) -> list[UUID]:
        statement = update(GRANTS).where(GRANTS.c.revoked_at.is_(None), *which)
        revoked = statement.values(revoked_at=func.now(), revoked_why=why).returning(GRANTS.c.id)
        return list((await self._session.exec(revoked)).scalars().all())


def _of_enabled_users() -> Any:
    return select(UserSession).join(USERS, USERS.c.id == col(UserSession.user_id)).where(USERS.c.disabled_at.is_(None))


def _live(idle_seconds: int) -> list[ColumnElement[bool]]:
    """What a session is that has not ended: by hand, by its age, or because nobody used it."""
    return [
        col(UserSession.ended_at).is_(None),
        col(UserSession.expires_at) > func.now(),
        col(UserSession.seen_at) > func.now() - timedelta(seconds=idle_seconds),
    ]

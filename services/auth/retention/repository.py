"""Every SQL statement about what has ended long ago, and about when it was last removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.audit.models import Maintenance

ENDED_GRANT = "(grants.expires_at < :ended OR grants.revoked_at < :ended)"
# In this order: tokens before their grant, grants before their session, so that no statement cascades far. The used
# tokens of a grant that lives stay: by them a replay is noticed. So does the session that such a grant names.
ENDED = {
    "authorization_codes": "expires_at < :ended",
    "mailed_codes": "expires_at < :ended",
    "refresh_tokens": f"EXISTS (SELECT FROM grants WHERE grants.id = refresh_tokens.grant_id AND {ENDED_GRANT})",
    "grants": f"{ENDED_GRANT} AND NOT EXISTS (SELECT FROM refresh_tokens WHERE grant_id = grants.id)",
    "sessions": "(expires_at < :ended OR ended_at < :ended)"
    " AND NOT EXISTS (SELECT FROM grants WHERE grants.session_id = sessions.id)",
    "revocations": "at < :untold",
}
EXPIRING = ("authorization_codes", "mailed_codes", "grants", "sessions")  # each with an index on it
# what another run, or anybody, has locked is passed by: it waits for the next run, not this one for it
REMOVE = (
    "DELETE FROM {table} WHERE ctid = ANY (ARRAY("
    "SELECT ctid FROM {table} WHERE {condition} LIMIT :batch FOR UPDATE SKIP LOCKED))"
)


@dataclass(frozen=True, slots=True)
class Cut:
    """Until when: what had ended by `ended` can go, and revocations of before `untold`: their tokens have ended."""

    ended: datetime
    untold: datetime


class RetentionRepository:
    """What can be removed, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def cut(self, days: int, token_seconds: int) -> Cut:
        """So many days ago, so many seconds ago: by Postgres' clock."""
        now: datetime = (await self._session.exec(select(func.now()))).one()
        return Cut(now - timedelta(days=days), now - timedelta(seconds=token_seconds))

    async def remove(self, table: str, cut: Cut, batch: int) -> int:
        """Remove one batch of a table's rows that have ended, and commit; how many."""
        condition = ENDED[table]
        times = {"ended": cut.ended, "untold": cut.untold}
        used = {name: value for name, value in times.items() if f":{name}" in condition}
        statement = text(REMOVE.format(table=table, condition=condition))
        removed = await (await self._session.connection()).execute(statement, {**used, "batch": batch})
        await self._session.commit()
        return removed.rowcount

    async def note(self, task: str, done: Mapping[str, int]) -> None:
        """Write down that a regular task has finished, and commit."""
        row = {"finished_at": func.clock_timestamp(), "done": dict(done)}
        statement = insert(Maintenance).values(task=task, **row)
        await self._session.exec(statement.on_conflict_do_update(index_elements=[col(Maintenance.task)], set_=row))
        await self._session.commit()

    async def noted(self, task: str) -> tuple[float, dict[str, Any]] | None:
        """How many seconds ago the task last finished, and what it did."""
        age = func.clock_timestamp() - col(Maintenance.finished_at)
        statement = select(age, col(Maintenance.done)).where(col(Maintenance.task) == task)
        row = (await self._session.exec(statement)).one_or_none()
        return None if row is None else (row[0].total_seconds(), row[1])

    async def oldest_ended_seconds(self) -> float:
        """How long ago the oldest row expired that is still there; 0 when there is none."""
        parts = " UNION ALL ".join(f"SELECT min(expires_at) AS at FROM {table}" for table in EXPIRING)  # noqa: S608 - ours
        statement = text(f"SELECT coalesce(extract(epoch FROM now() - min(at)), 0)::float FROM ({parts}) oldest")  # noqa: S608
        found: float = (await (await self._session.connection()).execute(statement)).scalar_one()
        return max(0.0, found)

"""Every SQL statement about revocations."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.audit.models import Maintenance
from services.auth.revocations.models import Revocation
from services.common.revocations import LIFE_SECONDS

LOCK = 6_190_473_355  # any number, the same for ever
TASK = "revocations"


class Waiting(NamedTuple):
    """Rows that nobody was told of, and how long the oldest of them has waited, in seconds."""

    rows: Sequence[Revocation]
    seconds: float


class RevocationRepository:
    """Revocations in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def commit(self) -> None:
        """End the transaction and make its changes last."""
        await self._session.commit()

    async def lock(self) -> None:
        """Wait to be the one that publishes, until the end of the transaction. Ask first."""
        await self._session.exec(select(func.pg_advisory_xact_lock(LOCK)))

    async def stamp(self) -> str | None:
        """What `state` holds if it has lost nothing since the last publication."""
        task = await self._session.get(Maintenance, TASK)
        return None if task is None else task.done.get("stamp")

    async def waiting(self) -> Waiting:
        """All that is not published yet, in the order that it was written."""
        statement = select(Revocation).where(col(Revocation.published_at).is_(None)).order_by(col(Revocation.id))
        rows = (await self._session.exec(statement)).all()
        if not rows:
            return Waiting([], 0.0)
        now = (await self._session.exec(select(func.clock_timestamp()))).one()
        return Waiting(rows, (now - min(row.at for row in rows)).total_seconds())

    async def live(self) -> Sequence[Revocation]:
        """All whose tokens may still be presented, published or not."""
        since = func.now() - timedelta(seconds=LIFE_SECONDS)
        statement = select(Revocation).where(col(Revocation.at) > since).order_by(col(Revocation.id))
        return (await self._session.exec(statement)).all()

    async def published(self, rows: Sequence[Revocation], stamp: str) -> None:
        """Note that these were told, and under which stamp."""
        ids = [row.id for row in rows]
        await self._session.exec(
            update(Revocation)
            .where(col(Revocation.id).in_(ids), col(Revocation.published_at).is_(None))
            .values(published_at=func.clock_timestamp())
        )
        values = {"task": TASK, "done": {"stamp": stamp}, "finished_at": func.clock_timestamp()}
        await self._session.exec(
            insert(Maintenance).values(values).on_conflict_do_update(index_elements=["task"], set_=values)
        )

"""Every SQL statement about the audit log."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, text
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.audit.chain import Head
from services.auth.audit.models import AuditCheckpoint, AuditEntry

SEAL_LOCK = 5_021_884_302  # any numbers, the same for ever
PRUNE_LOCK = 5_021_884_303
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries; None asks for any."""

    event: str | None = None
    subject: str | None = None
    actor: str | None = None
    since: datetime | None = None


class AuditRepository:
    """The audit log in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def commit(self) -> None:
        """End the transaction and make its changes last."""
        await self.session.commit()

    async def try_lock(self, lock: int) -> bool:
        """Whether we are the one until the end of the transaction. Ask first: what is read later is then up to date."""
        return bool((await self.session.exec(select(func.pg_try_advisory_xact_lock(lock)))).one())

    async def freeze(self) -> None:
        """See the database as it is now until the end of the transaction; first in it."""
        await self.session.exec(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))  # type: ignore[call-overload]

    async def ago(self, days: int) -> datetime:
        """The time so many days ago, by Postgres' clock."""
        now: datetime = (await self.session.exec(select(func.clock_timestamp()))).one()
        return now - timedelta(days=days)

    async def head(self) -> Head:
        """The last entry of the chain, removed or not."""
        statement = select(AuditEntry.sequence, AuditEntry.hash).where(col(AuditEntry.sequence).is_not(None))
        row = (await self.session.exec(statement.order_by(col(AuditEntry.sequence).desc()).limit(1))).one_or_none()
        if row is not None and row[0] is not None and row[1] is not None:
            return Head(row[0], row[1])
        checkpoint = await self.checkpoint()
        return Head(checkpoint.sequence, checkpoint.hash) if checkpoint else Head()

    async def checkpoint(self) -> AuditCheckpoint | None:
        """The newest."""
        statement = select(AuditCheckpoint).order_by(col(AuditCheckpoint.sequence).desc()).limit(1)
        return (await self.session.exec(statement)).one_or_none()

    async def unsealed(self, limit: int) -> list[AuditEntry]:
        """Entries that are not in the chain yet, the oldest first."""
        statement = select(AuditEntry).where(col(AuditEntry.sequence).is_(None)).order_by(col(AuditEntry.id))
        return list((await self.session.exec(statement.limit(limit))).all())

    async def count_unsealed(self) -> int:
        """How many wait."""
        statement = select(func.count()).select_from(AuditEntry).where(col(AuditEntry.sequence).is_(None))
        return (await self.session.exec(statement)).one()

    async def seal(self, places: Iterable[tuple[int, Head, bytes]]) -> None:
        """Give rows their place in the chain."""
        entries: Any = AuditEntry.__table__  # type: ignore[attr-defined] # a statement of many rows, not of objects
        statement = (
            update(entries)
            .where(entries.c.id == bindparam("row"), entries.c.sequence.is_(None))
            .values(sequence=bindparam("place"), hash=bindparam("own"), previous_hash=bindparam("before"))
        )
        values = [
            {"row": row, "place": head.sequence, "own": head.hash, "before": before} for row, head, before in places
        ]
        await (await self.session.connection()).execute(statement, values)

    async def sealed(self) -> AsyncIterator[AuditEntry]:
        """All of the chain in its order, a page in memory at a time."""
        after = None
        while page := await self.after(after, PAGE):
            for entry in page:
                yield entry
            after = page[-1].sequence
            self.session.expunge_all()

    async def after(self, sequence: int | None, limit: int) -> list[AuditEntry]:
        """The next entries of the chain."""
        statement = select(AuditEntry).where(col(AuditEntry.sequence).is_not(None))
        if sequence is not None:
            statement = statement.where(col(AuditEntry.sequence) > sequence)
        return list((await self.session.exec(statement.order_by(col(AuditEntry.sequence)).limit(limit))).all())

    async def prune(self, checkpoint: AuditCheckpoint) -> None:
        """Remove the entries up to the checkpoint, and the checkpoints before it."""
        self.session.add(checkpoint)
        await self.session.flush()
        await self.session.exec(delete(AuditEntry).where(col(AuditEntry.sequence) <= checkpoint.sequence))
        await self.session.exec(delete(AuditCheckpoint).where(col(AuditCheckpoint.sequence) < checkpoint.sequence))

    async def page(self, filters: Filters, before: int | None, limit: int) -> list[AuditEntry]:
        """Entries, the newest first."""
        statement = select(AuditEntry)
        for column, value in ((AuditEntry.event, filters.event), (AuditEntry.subject, filters.subject)):
            if value is not None:
                statement = statement.where(col(column) == value)
        if filters.actor is not None:
            statement = statement.where(col(AuditEntry.actor) == filters.actor)
        if filters.since is not None:
            statement = statement.where(col(AuditEntry.at) >= filters.since)
        if before is not None:
            statement = statement.where(col(AuditEntry.id) < before)
        return list((await self.session.exec(statement.order_by(col(AuditEntry.id).desc()).limit(limit))).all())

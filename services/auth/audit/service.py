"""What can be done with the audit log: seal, verify, read, prune."""

from dataclasses import dataclass
from typing import Any

from services.auth.audit.chain import Break, Chain, Head, sealed
from services.auth.audit.events import Event
from services.auth.audit.models import AuditEntry
from services.auth.audit.record import OPERATOR, Origin, record
from services.auth.audit.repository import PRUNE_LOCK, SEAL_LOCK, AuditRepository, Filters

BATCH = 500
PRUNE_BATCH = 2000
READ_MAX = 200  # characters of a filter that the log repeats


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk over the chain found."""

    head: Head
    entries: int
    unsealed: int
    broken: Break | None = None


class AuditService:
    """The audit log in one session."""

    def __init__(self, entries: AuditRepository, chain: Chain) -> None:
        self._entries = entries
        self._chain = chain

    async def seal(self) -> int:
        """Put entries that are not in the chain yet behind its end, one batch; how many. 0 while another does it."""
        if not await self._entries.try_lock(SEAL_LOCK):
            return 0
        waiting = await self._entries.unsealed(BATCH)
        if waiting:
            await self._entries.seal(sealed(self._chain, await self._entries.head(), waiting))
        await self._entries.commit()
        return len(waiting)

    async def verify(self, expected: Head | None = None) -> Verdict:
        """Walk the whole chain up to the first break. `expected` is a head that was noted down before."""
        await self._entries.freeze()
        checkpoint = await self._entries.checkpoint()
        start = Head(checkpoint.sequence, checkpoint.hash) if checkpoint else Head()
        unsealed = await self._entries.count_unsealed()
        if checkpoint and not self._chain.is_genuine(checkpoint):
            forged = Break(checkpoint.sequence, "changed", "the checkpoint was not made by auth")
            return Verdict(start, 0, unsealed, forged)
        walk, noted = self._chain.walk(start), start
        async for entry in self._entries.sealed():
            if broken := walk.follow(entry):
                return Verdict(walk.head, walk.count, unsealed, broken)
            if expected is not None and walk.head.sequence == expected.sequence:
                noted = walk.head
        return Verdict(walk.head, walk.count, unsealed, walk.end() or _missed(expected, start, noted, walk.head))

    async def read(
        self, filters: Filters, before: int | None, limit: int, origin: Origin, actor: str
    ) -> list[AuditEntry]:
        """One page and the first entry of the next. Who reads the log stands in it as well."""
        page = await self._entries.page(filters, before, limit + 1)
        asked = {name: getattr(filters, name) for name in ("event", "subject", "actor")}
        given = {name: value[:READ_MAX] for name, value in asked.items() if value is not None}
        if filters.since is not None:
            given["since"] = filters.since.isoformat()
        record(self._entries.session, Event.AUDIT_READ, origin, actor=actor, filters=given, before=before)
        await self._entries.commit()
        return page

    async def prune(self, days: int) -> int | Break:
        """Remove one batch of the oldest entries whose time is over; how many, or why not: a break is evidence."""
        if not await self._entries.try_lock(PRUNE_LOCK):
            return 0
        checkpoint = await self._entries.checkpoint()
        walk = self._chain.walk(Head(checkpoint.sequence, checkpoint.hash) if checkpoint else Head())
        if checkpoint and not self._chain.is_genuine(checkpoint):
            return Break(checkpoint.sequence, "changed", "the checkpoint was not made by auth")
        end = await self._entries.ago(days)
        for entry in await self._entries.after(None, PRUNE_BATCH):
            if entry.at >= end:
                break
            if broken := walk.follow(entry) or walk.end():
                return broken
        if walk.count:
            await self._entries.prune(self._chain.checkpoint(walk.head))
            details: dict[str, Any] = {"entries": walk.count, "until": walk.head.sequence}
            record(self._entries.session, Event.AUDIT_PRUNED, Origin(), actor=OPERATOR, **details)
        await self._entries.commit()
        return walk.count


def _missed(expected: Head | None, start: Head, noted: Head, end: Head) -> Break | None:
    """Whether the chain still holds the head that somebody noted down."""
    if expected is None or expected.sequence < start.sequence:  # removed since, by a checkpoint
        return None
    if end.sequence < expected.sequence:
        return Break(end.sequence + 1, "truncated", f"entries up to {expected.sequence} were there before")
    if noted != expected:
        return Break(expected.sequence, "changed", "it had another hash when its head was noted")
    return None

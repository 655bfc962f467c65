"""Removes what nobody needs any more, in short transactions, and writes down what it did."""

from services.auth.audit.chain import Break, Chain
from services.auth.audit.repository import AuditRepository
from services.auth.audit.service import AuditService
from services.auth.retention.repository import ENDED, Cut, RetentionRepository
from services.auth.settings import CommandSettings
from services.common.postgres import SessionMaker, open_session
from services.common.revocations import LIFE_SECONDS

TASK = "clean"
BATCH = 1000


async def clean(settings: CommandSettings, maker: SessionMaker) -> tuple[dict[str, int], Break | None]:
    """Remove what is due from each table; how many rows, and what kept the audit log from being pruned."""
    async with open_session(maker) as session:
        rows = RetentionRepository(session)
        cut = await rows.cut(settings.ended_retention_days, LIFE_SECONDS)
        done = {table: await _remove(rows, table, cut) for table in ENDED}
    done["audit_entries"], broken = await _prune(settings, maker)
    if broken is None:
        async with open_session(maker) as session:
            await RetentionRepository(session).note(TASK, done)
    return done, broken


async def _remove(rows: RetentionRepository, table: str, cut: Cut) -> int:
    total = 0
    while removed := await rows.remove(table, cut, BATCH):
        total += removed
    return total


async def _prune(settings: CommandSettings, maker: SessionMaker) -> tuple[int, Break | None]:
    total = 0
    while True:
        async with open_session(maker) as session:
            removed = await AuditService(AuditRepository(session), Chain(settings)).prune(settings.audit_retention_days)
        if isinstance(removed, Break):
            return total, removed
        if not removed:
            return total, None
        total += removed

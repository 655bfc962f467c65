"""The task that seals: in every process, every second, one of them at a time."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.auth.audit.chain import Chain, Head
from services.auth.audit.repository import AuditRepository
from services.auth.audit.service import BATCH, AuditService
from services.auth.settings import AuditSettings
from services.common.postgres import SessionMaker, open_session
from services.common.tasks import every, running

INTERVAL_SECONDS = 1.0
TELL_ENTRIES = 1000
TELL_SECONDS = 60.0

log = structlog.get_logger()


class ChainSealer:
    """Seals what waits, and tells the head of the chain where whoever changes the database cannot reach: in the log."""

    def __init__(
        self,
        settings: AuditSettings,
        session_maker: SessionMaker,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the key and the database."""
        self._chain = Chain(settings)
        self._session_maker = session_maker
        self._clock = clock
        self._told, self._told_at = 0, float("-inf")
        self._unsealed = Gauge("auth_audit_unsealed_entries", "Entries not in the chain yet", registry=registry)
        self._last = Gauge("auth_audit_last_sequence", "The last entry of the chain", registry=registry)

    async def seal(self) -> int:
        """Seal all that waits, a short transaction a batch; how many. Raises UnavailableError."""
        count = 0
        async with open_session(self._session_maker) as session:
            entries = AuditRepository(session)
            service = AuditService(entries, self._chain)
            while sealed := await service.seal():
                count += sealed
                session.expunge_all()
                if sealed < BATCH:
                    break
            head, waiting = await entries.head(), await entries.count_unsealed()
        self._unsealed.set(waiting)
        self._last.set(head.sequence)
        if count:
            self._tell(head)
        return count

    def _tell(self, head: Head) -> None:
        if head.sequence - self._told >= TELL_ENTRIES or self._clock() - self._told_at >= TELL_SECONDS:
            self._told, self._told_at = head.sequence, self._clock()
            log.info("audit_sealed", sequence=head.sequence, head=str(head))


@asynccontextmanager
async def open_sealing(
    settings: AuditSettings, session_maker: SessionMaker, registry: CollectorRegistry | None = None
) -> AsyncGenerator[ChainSealer]:
    """Seal for as long as the block lasts."""
    sealer = ChainSealer(settings, session_maker, registry)
    async with running(lambda: every(INTERVAL_SECONDS, sealer.seal, failed="audit_not_sealed"), "audit chain"):
        yield sealer

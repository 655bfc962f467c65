"""An empty audit log for every test, and what writes, seals, verifies and tampers with it."""

from collections.abc import AsyncGenerator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from prometheus_client import CollectorRegistry

from services.auth.audit.chain import Chain, Head
from services.auth.audit.events import Event
from services.auth.audit.record import Origin, record
from services.auth.audit.repository import AuditRepository
from services.auth.audit.sealing import ChainSealer
from services.auth.audit.service import AuditService, Verdict
from services.auth.settings import AuthSettings
from services.common.postgres import SessionMaker, open_postgres, open_session, session_maker
from tests.auth.conftest import MakeSettings
from tests.support.databases import execute

ORIGIN = Origin(address="192.0.2.1", user_agent="tests", request_id="0123456789abcdef")
NO_TRIGGERS = "SET session_replication_role = replica"  # what a superuser can do


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    return make_settings(database_pool_size=20, database_pool_timeout_seconds=10)


@pytest.fixture(scope="module")
async def sessions(settings: AuthSettings) -> AsyncGenerator[SessionMaker]:
    async with open_postgres(settings, CollectorRegistry()) as engine:
        yield session_maker(engine)


class AuditLog:
    """One database's audit log."""

    def __init__(self, url: str, sessions: SessionMaker, settings: AuthSettings) -> None:
        self.url = url
        self.sessions = sessions
        self.settings = settings

    async def write(self, count: int = 1, event: Event = Event.SIGN_IN_FAILED, **words: Any) -> None:
        """Add entries that say something in each column, in one transaction."""
        async with self.sessions() as session:
            for number in range(count):
                usual = {"actor": "ada", "subject": f"s{number}", "client_id": "app", "why": "because", "number": 1.5}
                record(session, event, ORIGIN, **{**usual, **words})
            await session.commit()

    async def seal(self) -> int:
        return await ChainSealer(self.settings, self.sessions).seal()

    async def verify(self, head: Head | None = None, settings: AuthSettings | None = None) -> Verdict:
        async with open_session(self.sessions) as session:
            return await AuditService(AuditRepository(session), Chain(settings or self.settings)).verify(head)

    def tamper(self, *statements: str) -> None:
        """As whoever has all rights in the database, past the triggers."""
        execute(self.url, NO_TRIGGERS, *statements)

    def rows(self, where: str = "true") -> list[asyncpg.Record]:
        """Entries, the oldest first."""
        return execute(self.url, f"SELECT * FROM audit_entries WHERE {where} ORDER BY id")[0]  # noqa: S608


@pytest.fixture
def log(migrated_url: str, sessions: SessionMaker, settings: AuthSettings) -> AuditLog:
    found = AuditLog(migrated_url, sessions, settings)
    found.tamper("DELETE FROM audit_entries", "DELETE FROM audit_checkpoints")
    return found

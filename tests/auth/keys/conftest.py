"""A database without keys for every test, and what makes, finds and rotates them in it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from prometheus_client import CollectorRegistry

from services.auth.keys.models import SigningKey
from services.auth.keys.repository import KeyRepository
from services.auth.keys.ring import KeyRing
from services.auth.keys.service import KeyService
from services.auth.sealing import Sealer
from services.auth.settings import AuthSettings
from services.common.postgres import SessionMaker, open_postgres, open_session, session_maker
from tests.auth.conftest import MakeSettings
from tests.support.databases import execute

T = TypeVar("T")


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    """A key signs for 1000 s, the next one is published 100 s before."""
    return make_settings(key_signing_seconds=1000, key_publish_seconds=100)


@pytest.fixture(scope="module")
async def sessions(settings: AuthSettings) -> AsyncGenerator[SessionMaker]:
    async with open_postgres(settings, CollectorRegistry()) as engine:
        yield session_maker(engine)


@asynccontextmanager
async def key_service(sessions: SessionMaker, settings: AuthSettings) -> AsyncGenerator[KeyService]:
    async with open_session(sessions) as session:
        yield KeyService(KeyRepository(session), Sealer(settings), settings)


class Keys:
    """The keys of one database, as a test looks at them and lets time go by."""

    def __init__(self, url: str, sessions: SessionMaker, settings: AuthSettings) -> None:
        self.url = url
        self.sessions = sessions
        self.settings = settings

    async def do(self, work: Callable[[KeyService], Awaitable[T]]) -> T:
        """One command, in a session of its own."""
        async with key_service(self.sessions, self.settings) as service:
            return await work(service)

    async def rotate(self) -> list[str]:
        return await self.do(lambda service: service.rotate())

    async def all(self) -> list[SigningKey]:
        return await self.do(lambda service: service.all())

    async def states(self) -> list[str]:
        """The oldest key's first."""
        return [key.state for key in await self.all()]

    async def ring(self) -> KeyRing:
        """The keys as a process that has just started knows them."""
        ring = KeyRing(self.settings, self.sessions)
        await ring.refresh()
        return ring

    def later(self, seconds: float) -> None:
        """Let so much time go by."""
        moments = ("published_at", "signing_at", "retiring_at")
        moved = ", ".join(f"{name} = {name} - interval '{seconds} seconds'" for name in moments)
        execute(self.url, f"UPDATE signing_keys SET {moved}")  # noqa: S608 - of our own words

    def events(self, kid: str) -> list[str]:
        """What the audit log says about a key."""
        statement = f"SELECT event FROM audit_entries WHERE subject = '{kid}' ORDER BY id"  # noqa: S608
        return [row["event"] for row in execute(self.url, statement)[0]]


@pytest.fixture
def keys(migrated_url: str, sessions: SessionMaker, settings: AuthSettings) -> Keys:
    execute(migrated_url, "DELETE FROM signing_keys")
    return Keys(migrated_url, sessions, settings)

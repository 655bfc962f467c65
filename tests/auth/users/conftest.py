"""People in the module's database, and sessions over it."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import SimpleNamespace
from typing import TypeVar

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from services.auth.keys.ring import open_key_ring
from services.auth.main import create_app
from services.auth.oauth.tokens import Tokens
from services.auth.settings import AuthSettings
from services.auth.users import limits as limits_module
from services.auth.users import second_factor
from services.auth.users.limits import SignInLimits
from services.auth.users.mail import open_outbox
from services.auth.users.passwords import PasswordHasher
from services.common.limits import Limit
from services.common.postgres import DatabaseSession, SessionMaker, open_postgres, session_maker
from services.common.redis import open_redis
from tests.auth.conftest import MakeSettings
from tests.auth.users.accounts import STEP_AT, Accounts, Mailbox
from tests.auth.users.office import Office
from tests.support.clients import app_client
from tests.support.databases import execute

RUNNERS, SECONDS = 8, 20
SLOWER = 1000

T = TypeVar("T")


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    return make_settings(database_pool_size=RUNNERS)


@pytest.fixture(scope="module")
async def sessions(settings: AuthSettings) -> AsyncGenerator[SessionMaker]:
    async with open_postgres(settings, CollectorRegistry()) as engine:
        yield session_maker(engine)


@pytest.fixture
def user(migrated_url: str) -> uuid.UUID:
    user_id = uuid.uuid4()
    row = f"('{user_id}', '{user_id}@slipway.test', 'Ada', 'none')"
    execute(migrated_url, f"INSERT INTO users (id, email, name, password_hash) VALUES {row}")  # noqa: S608
    return user_id


@pytest.fixture(autouse=True)
def _standing_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time steps of authenticator apps stand still: no code grows old before a slow test has typed it."""
    monkeypatch.setattr(second_factor, "time", SimpleNamespace(time=lambda: STEP_AT))


@pytest.fixture
def long_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute of the limits lasts so long that nothing comes back while a test runs."""
    monkeypatch.setattr(limits_module, "Limit", lambda key, count, seconds: Limit(key, count, seconds * SLOWER))


@pytest.fixture
async def accounts(migrated_url: str, settings: AuthSettings, sessions: SessionMaker) -> AsyncGenerator[Accounts]:
    """Accounts whose limits know nobody yet."""
    registry, mailbox = CollectorRegistry(), Mailbox()
    passwords = PasswordHasher(settings, registry)
    async with open_redis(settings.state_url) as redis, open_outbox(mailbox, registry) as outbox:
        await redis.flushdb()
        limits = SignInLimits(redis, settings, registry)
        yield Accounts(migrated_url, settings, sessions, redis, passwords, registry, limits, outbox, mailbox)
    passwords.close()


@pytest.fixture(scope="module")
async def http(settings: AuthSettings) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of one replica."""
    async with app_client(create_app(settings)) as opened:
        yield opened


@pytest.fixture
async def office(
    http: httpx2.AsyncClient, accounts: Accounts, settings: AuthSettings, sessions: SessionMaker
) -> AsyncGenerator[Office]:
    async with open_key_ring(settings, sessions) as ring:
        yield Office(accounts, http, Tokens(settings, ring))


async def race(
    sessions: SessionMaker, work: Callable[[DatabaseSession], Awaitable[T]], *, runners: int = RUNNERS
) -> list[T]:
    """Do the same at once, each on a connection and in a transaction of its own."""
    start = asyncio.Barrier(runners)

    async def run() -> T:
        async with sessions() as session:
            await session.connection()
            await start.wait()
            result = await work(session)
            await session.commit()
            return result

    async with asyncio.timeout(SECONDS):
        return await asyncio.gather(*(run() for _ in range(runners)))

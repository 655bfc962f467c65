"""The endpoints of OAuth over a real Postgres and Redis, with clients and people to try them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from uuid import UUID

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from services.auth.audit.record import Origin
from services.auth.keys.ring import open_key_ring
from services.auth.main import create_app
from services.auth.revocations.publisher import Publisher
from services.auth.sessions.cookies import COOKIE
from services.auth.sessions.service import SessionService
from services.auth.settings import AuthSettings
from services.common.postgres import SessionMaker, open_postgres, session_maker
from tests.auth.conftest import MakeSettings
from tests.auth.oauth.app import OAuthApp, Wakes
from tests.auth.oauth.flows import Cookie, Flow
from tests.auth.oauth.parties import Parties
from tests.support.clients import app_client

SignIn = Callable[..., Awaitable[Cookie]]


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    # what is limited is tested where it is meant
    return make_settings(sign_in_per_address=100_000, sign_in_per_account=100_000)


@pytest.fixture(scope="module")
async def app(settings: AuthSettings, sessions: SessionMaker) -> AsyncGenerator[OAuthApp]:
    wakes, wake = Wakes(), Publisher.wake

    def counted(publisher: Publisher) -> None:
        wakes.count += 1
        wake(publisher)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Publisher, "wake", counted)
        async with open_key_ring(settings, sessions) as ring:
            yield OAuthApp(create_app(settings), ring, wakes)


@pytest.fixture(scope="module")
async def http(app: OAuthApp) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of one replica."""
    async with app_client(app.asgi) as opened:
        yield opened


@pytest.fixture
def parties(migrated_url: str) -> Parties:
    """Clients and people of the module's database."""
    return Parties(migrated_url)


@pytest.fixture(scope="module")
async def sessions(settings: AuthSettings) -> AsyncGenerator[SessionMaker]:
    async with open_postgres(settings, CollectorRegistry()) as engine:
        yield session_maker(engine)


@pytest.fixture(scope="module")
def sign_in(settings: AuthSettings, sessions: SessionMaker) -> SignIn:
    """Starts a session, as a sign-in page would; returns the header with its cookie."""

    async def start(user_id: UUID, *methods: str) -> Cookie:
        async with sessions() as session:
            service = SessionService(session, settings)
            _, value = await service.start(user_id, methods or ["pwd"], Origin())
            await session.commit()
        return {"Cookie": f"{COOKIE}={value}"}

    return start


@pytest.fixture
async def flow(http: httpx2.AsyncClient, app: OAuthApp, parties: Parties, sign_in: SignIn) -> Flow:
    """An editor who is signed in, and a client that nobody need consent to."""
    person = parties.person("editor")
    return Flow(http, app, parties, parties.app(), person, await sign_in(person))

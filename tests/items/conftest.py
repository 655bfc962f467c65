"""The real application of items over a migrated database of the module's own, and people who call it."""

import secrets
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from services.common.migrations import migrate
from services.common.settings import MigrationSettings
from services.items.main import create_app
from services.items.settings import ItemsSettings
from tests.support.clients import app_client, until_ready
from tests.support.tokens import Issuer, KeyServer

GOOD = {"name": "lamp", "price_minor": 1999, "currency": "EUR"}


@dataclass
class Caller:
    """One person: requests under `/v1/items` with their token."""

    client: httpx2.AsyncClient
    subject: str
    headers: dict[str, str] = field(repr=False)

    async def ask(self, method: str, path: str = "", **options: Any) -> httpx2.Response:
        headers = self.headers | options.pop("headers", {})
        return await self.client.request(method, f"/v1/items{path}", headers=headers, **options)

    async def create(self, **changes: Any) -> dict[str, Any]:
        """A new item as the answer shows it."""
        answer = await self.ask("POST", json=GOOD | changes)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def get(self, item_id: str, **headers: str) -> httpx2.Response:
        return await self.ask("GET", f"/{item_id}", headers=headers)

    async def put(self, item_id: str, headers: dict[str, str] | None = None, **changes: Any) -> httpx2.Response:
        return await self.ask("PUT", f"/{item_id}", json=GOOD | changes, headers=headers or {})

    async def patch(self, item_id: str, headers: dict[str, str] | None = None, **patch: Any) -> httpx2.Response:
        return await self.ask("PATCH", f"/{item_id}", json=patch, headers=headers or {})

    async def delete(self, item_id: str, **headers: str) -> httpx2.Response:
        return await self.ask("DELETE", f"/{item_id}", headers=headers)

    async def list(self, **params: Any) -> httpx2.Response:
        return await self.ask("GET", params=params)


MakeCaller = Callable[..., Caller]
MakeSettings = Callable[..., ItemsSettings]


@pytest.fixture(scope="module")
async def migrated_url(database_url: str) -> str:
    """The module's database at head."""
    settings = MigrationSettings(database_url=database_url)
    assert await migrate(settings, "services.items.migrations") == 0
    return database_url


@pytest.fixture(scope="module")
def make_settings(migrated_url: str, redis_url: str, issuer: Issuer, jwks: KeyServer) -> MakeSettings:
    """Settings for the suite's servers, with some changed."""

    def make(**changes: Any) -> ItemsSettings:
        values: dict[str, Any] = {
            "database_url": migrated_url,
            "cache_url": redis_url,
            "issuer": issuer.issuer,
            "audience": issuer.audience,
            "jwks_url": jwks.url,
            "cursor_key": secrets.token_hex(32),
            "database_pool_timeout_seconds": 20,  # on a busy machine one waits longer for others to be done
            "access_log_per_second": 1_000_000,  # the log is read after each of many
        }
        return ItemsSettings(**(values | changes))

    return make


@pytest.fixture(scope="module")
async def client(make_settings: MakeSettings) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of one replica, which has the keys of auth."""
    app = create_app(make_settings())
    async with app_client(app) as opened:
        await until_ready(app)
        yield opened


def caller_of(client: httpx2.AsyncClient, issuer: Issuer, subject: str | None = None, **claims: Any) -> Caller:
    """Somebody new, unless named: tests share a database and never see each other's items."""
    subject = subject or f"user-{uuid.uuid4().hex[:12]}"
    return Caller(client, subject, issuer.headers(sub=subject, **claims))


@pytest.fixture
def caller(client: httpx2.AsyncClient, issuer: Issuer) -> MakeCaller:
    """Make people who call the replica."""

    def make(subject: str | None = None, **claims: Any) -> Caller:
        return caller_of(client, issuer, subject, **claims)

    return make


@pytest.fixture
def alice(caller: MakeCaller) -> Caller:
    return caller()


@pytest.fixture
def bob(caller: MakeCaller) -> Caller:
    return caller()


@pytest.fixture
def admin(caller: MakeCaller) -> Caller:
    return caller(scope="items:read items:write items:admin")

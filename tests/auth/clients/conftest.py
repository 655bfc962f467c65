"""The real application, and people with scopes who administer its clients."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx2
import pytest
from prometheus_client import CollectorRegistry

from services.auth.keys.ring import open_key_ring
from services.auth.settings import AuthSettings
from services.common.logging import configure_logging
from services.common.postgres import open_postgres, session_maker
from tests.auth.conftest import MakeSettings
from tests.support.databases import execute

PATH = "/v1/clients"
CALLBACK = "https://app.example/callback"
EVERYTHING = "items:read items:write items:admin users:read users:admin users:self platform:operate"
MACHINE: dict[str, Any] = {"name": "Robot", "scopes": ["items:read"]}
WEB: dict[str, Any] = {"name": "Web", "redirect_uris": [CALLBACK], "scopes": ["openid", "items:read"]}


@pytest.fixture(autouse=True)
def _logging() -> None:
    configure_logging("auth", "INFO")


@dataclass
class Caller:
    """Somebody with a token."""

    http: httpx2.AsyncClient
    token: str = field(repr=False)

    async def ask(self, method: str, path: str = "", **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return await self.http.request(method, f"{PATH}{path}", headers=headers, **options)

    async def ask_until_refused(self) -> httpx2.Response:
        """The list of clients, again and again for as long as it is answered and one waits; the last answer."""
        answer = await self.ask("GET")
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                while answer.status_code == 200:
                    await asyncio.sleep(0.02)
                    answer = await self.ask("GET")
        return answer

    async def create(self, **body: Any) -> dict[str, Any]:
        """A new client as the answer shows it."""
        answer = await self.ask("POST", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def patch(self, client_id: str, **patch: Any) -> httpx2.Response:
        return await self.ask("PATCH", f"/{client_id}", json=patch)

    async def post(self, client_id: str, action: str) -> httpx2.Response:
        return await self.ask("POST", f"/{client_id}/{action}")


MakeCaller = Callable[[str], Caller]


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    return make_settings()


@pytest.fixture(scope="module")
async def caller(client: httpx2.AsyncClient, settings: AuthSettings) -> AsyncGenerator[MakeCaller]:
    """Makes people with these scopes; their tokens are the application's own."""
    async with (
        open_postgres(settings, CollectorRegistry()) as engine,
        open_key_ring(settings, session_maker(engine)) as ring,
    ):

        def make(scope: str) -> Caller:
            now = int(time.time())
            claims = {"iss": settings.issuer, "aud": settings.audience, "sub": "root", "client_id": "console"}
            return Caller(client, ring.sign({**claims, "scope": scope, "iat": now, "exp": now + 300}, "at+jwt"))

        yield make


@pytest.fixture
def admin(caller: MakeCaller) -> Caller:
    return caller(EVERYTHING)


@dataclass(frozen=True)
class Database:
    """What the application has written."""

    url: str

    def sql(self, statement: str) -> list[asyncpg.Record]:
        return execute(self.url, statement)[0]

    def client(self, client_id: str) -> asyncpg.Record:
        """One row."""
        [row] = self.sql(f"SELECT * FROM clients WHERE id = '{client_id}'")  # noqa: S608 - of our own words
        return row

    def events(self, client_id: str) -> list[asyncpg.Record]:
        """What the audit log says of one client's administration, the oldest first."""
        where = f"subject = '{client_id}' AND event LIKE 'client_%'"
        return self.sql(f"SELECT * FROM audit_entries WHERE {where} ORDER BY id")  # noqa: S608

    def revocations(self, client_id: str) -> int:
        """How often its tokens were revoked."""
        return len(self.sql(f"SELECT 1 FROM revocations WHERE kind = 'client' AND target = '{client_id}'"))  # noqa: S608


@pytest.fixture
def database(migrated_url: str) -> Database:
    return Database(migrated_url)


def some_id() -> str:
    return f"c-{uuid.uuid4().hex[:12]}"

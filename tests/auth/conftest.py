"""The real application of auth over a migrated database of the module's own."""

import secrets
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor

from services.auth.main import create_app
from services.auth.settings import AuthSettings
from services.common.migrations import migrate
from services.common.settings import MigrationSettings
from tests.support.clients import app_client
from tests.support.traces import Collector, serving

ORIGIN = "https://slipway.test"
AUDIENCE = "slipway"

MakeSettings = Callable[..., AuthSettings]


@pytest.fixture(scope="module")
async def migrated_url(database_url: str) -> str:
    """The module's database at head."""
    settings = MigrationSettings(database_url=database_url)
    assert await migrate(settings, "services.auth.migrations") == 0
    return database_url


@pytest.fixture(scope="module")
def make_settings(migrated_url: str, redis_url: str) -> MakeSettings:
    """Settings for the suite's servers, with some changed; the keys are the module's own."""
    keys = {name: secrets.token_hex(32) for name in ("key_encryption_key", "token_key", "audit_key")}

    def make(**changes: Any) -> AuthSettings:
        values: dict[str, Any] = {
            "environment": "development",
            "database_url": migrated_url,
            "state_url": redis_url,
            "issuer": ORIGIN,
            "audience": AUDIENCE,
            "mailer": "console",
            # the least that is allowed: what is tested is not how long a hash takes
            "argon2_memory_kib": 7168,
            "argon2_iterations": 5,
            "database_pool_timeout_seconds": 20,  # on a busy machine one waits longer for others to be done
            "access_log_per_second": 1_000_000,  # the log is read after each of many
            **keys,
        }
        return AuthSettings(**(values | changes))

    return make


@pytest.fixture(scope="module")
async def client(make_settings: MakeSettings) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of one replica."""
    async with app_client(create_app(make_settings())) as opened:
        yield opened


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Traces of applications that are made from now on; other tests make none."""
    with serving() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        yield server
    for instrumentor in (AsyncPGInstrumentor(), RedisInstrumentor()):  # type: ignore[no-untyped-call]
        instrumentor.uninstrument()

"""What every test may use: a clean environment, real servers, an issuer of tokens."""

import os
import uuid
from collections.abc import Generator, Iterator
from functools import cache
from inspect import unwrap

import httpcore2
import hypothesis
import pytest

from services.common import health, operations, operators, state_limits
from services.common import jwks as jwks_module
from services.common import postgres as postgres_module
from services.common.redis import TIMEOUT_SECONDS, open_redis
from services.items import breaker
from tests.support.servers import Server, given_url, new_database, postgres_server, redis_server
from tests.support.tokens import Issuer, KeyServer, key_server

# what a process needs to run at all, and what names given servers; nothing else reaches the tests
KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_",
    "TZ",
    "TMPDIR",
    "USER",
    "PYTEST_",
    "PYTHON",
    "COV",
    "TEST_",
    "VIRTUAL_ENV",
)
KEPT_CLUSTER = ("KUBE", "XDG_", "SLIPWAY_", "GO", "SSL_", "PIP_", "http", "HTTP", "no_proxy", "NO_PROXY")
PATIENCE_SECONDS = 20.0
SHORT = {state_limits: state_limits.DEADLINE_SECONDS, breaker: breaker.DEADLINE_SECONDS}
REDIS_OPTIONS = unwrap(open_redis).__kwdefaults__

# an example that took long says something of the machine, and so does making one
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the developer's shell becomes a setting of a service."""
    for name in list(os.environ):
        if not name.startswith((*KEPT, *KEPT_CLUSTER)):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """Servers and the loop itself are waited for in this process: a busy machine is no server that is away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(REDIS_OPTIONS, "timeout_seconds", PATIENCE_SECONDS)
        for module, name in (
            (state_limits, "DEADLINE_SECONDS"),
            (breaker, "DEADLINE_SECONDS"),
            (breaker, "QUEUE_SECONDS"),
            (jwks_module, "TIMEOUT_SECONDS"),
            (health, "CHECK_TIMEOUT_SECONDS"),
            (postgres_module, "CONNECT_TIMEOUT_SECONDS"),
            (operations, "STEP_SECONDS"),
            (operators, "SECONDS"),
        ):
            patch.setattr(module, name, PATIENCE_SECONDS)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_tls_context() -> Iterator[None]:
    """All HTTP clients of this process share one: each would load some hundred certificates, for 24 ms of CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore2, "default_ssl_context", cache(httpcore2.default_ssl_context))
        yield


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The short times that a service gives a Redis gone silent, for applications that are made after this."""
    monkeypatch.setitem(REDIS_OPTIONS, "timeout_seconds", TIMEOUT_SECONDS)
    for module, seconds in SHORT.items():
        monkeypatch.setattr(module, "DEADLINE_SECONDS", seconds)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server | None]:
    """The suite's own Postgres; None where TEST_DATABASE_URL names another."""
    if "TEST_DATABASE_URL" in os.environ:
        yield None
        return
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: Server | None) -> str:
    """A superuser's URL."""
    return postgres.url if postgres else given_url("TEST_DATABASE_URL")


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty database of the test module's own."""
    with new_database(postgres_url, f"test_{uuid.uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of the suite's own, or that of TEST_REDIS_URL."""
    if "TEST_REDIS_URL" in os.environ:
        yield given_url("TEST_REDIS_URL")
        return
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    """Signs tokens that the services of the tests believe."""
    return Issuer()


@pytest.fixture(scope="session")
def jwks(issuer: Issuer) -> Generator[KeyServer]:
    """Publishes the issuer's keys; `.url` is a JWKS_URL."""
    with key_server(issuer) as server:
        yield server

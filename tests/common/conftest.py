"""The sample service over a socket."""

import os
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from services.common.logging import configure_logging
from tests.common.querying import service
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client
from tests.support.servers import Server, postgres_server, redis_server


@pytest.fixture(autouse=True)
def _logging() -> None:
    configure_logging("sample", "INFO")


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the sample service, which reads bodies of up to 2000 bytes."""
    async with app_client(create_app(SampleSettings(max_body_bytes=2000))) as client:
        yield client


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A Postgres that a test may stop."""
    if "TEST_DATABASE_URL" in os.environ:
        pytest.skip("servers are given, and there may be no program to start one of the test's own")
    with postgres_server() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[Server]:
    """A Redis that a test may stop."""
    if "TEST_REDIS_URL" in os.environ:
        pytest.skip("servers are given, and there may be no program to start one of the test's own")
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
async def rows(database_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the service that asks Postgres, over a database of the module's own."""
    async with service(database_url) as client:
        yield client


@pytest.fixture(scope="module")
def port(client: httpx2.AsyncClient) -> int:
    """Where that service listens, for those who write their own bytes."""
    return int(client.base_url.port or 0)

"""The sample service over a socket."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from services.common.logging import configure_logging
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client


@pytest.fixture(autouse=True)
def _logging() -> None:
    configure_logging("sample", "INFO")


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the sample service, which reads bodies of up to 2000 bytes."""
    async with app_client(create_app(SampleSettings(max_body_bytes=2000))) as client:
        yield client

"""The endpoints of OAuth over a real Postgres and Redis, with clients and people to try them."""

from collections.abc import AsyncGenerator

import httpx2
import pytest

from services.auth.settings import AuthSettings
from tests.auth.conftest import MakeSettings
from tests.auth.oauth.app import OAuthApp, create_oauth_app
from tests.auth.oauth.parties import Parties
from tests.support.clients import app_client


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    # what is limited is tested where it is meant
    return make_settings(sign_in_per_address=100_000, sign_in_per_account=100_000)


@pytest.fixture(scope="module")
def app(settings: AuthSettings) -> OAuthApp:
    return create_oauth_app(settings)


@pytest.fixture(scope="module")
async def http(app: OAuthApp) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of one replica."""
    async with app_client(app.asgi) as opened:
        yield opened


@pytest.fixture
def parties(migrated_url: str) -> Parties:
    """Clients and people of the module's database."""
    return Parties(migrated_url)

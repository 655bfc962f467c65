"""A page of another origin may ask for tokens where the gateway allows it: the gateway says so, and auth nothing."""

from collections.abc import AsyncGenerator, Iterator

import httpx2
import pytest

from services.auth.settings import AuthSettings
from tests.auth.conftest import MakeSettings
from tests.auth.oauth.flows import TOKEN, USERINFO
from tests.auth.oauth.parties import Parties
from tests.auth.processes import environment
from tests.support.platform import GUARDED, gateway_before
from tests.support.processes import Process, service_process

APP, STRANGER = "https://app.example.com", "https://evil.example.com"
# what a browser asks before it sends a form with an Authorization header (Fetch, CORS-preflight)
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    return make_settings()


@pytest.fixture(scope="module")
def auth(settings: AuthSettings) -> Iterator[Process]:
    with service_process("services.auth", environment(settings)) as process:
        yield process


@pytest.fixture(scope="module")
def gateway(auth: Process, settings: AuthSettings, redis_url: str) -> Iterator[Process]:
    with gateway_before(auth, settings.issuer, settings.audience, STATE_URL=redis_url, CORS_ORIGINS=APP) as process:
        yield process


@pytest.fixture
async def through(gateway: Process) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=30) as client:
        yield client


@pytest.fixture
async def direct(auth: Process) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=auth.url, timeout=30) as client:
        yield client


def cors(answer: httpx2.Response) -> dict[str, str]:
    """What an answer says to a browser about other origins."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def test_a_page_that_may_asks_for_tokens_through_the_gateway(
    through: httpx2.AsyncClient, migrated_url: str
) -> None:
    app = Parties(migrated_url).app(method="client_secret_basic", grants=["client_credentials"])
    credentials = (app.id, app.authentication()["client_secret"])
    form = {"grant_type": "client_credentials"}

    asked = await through.options(TOKEN, headers={"Origin": APP, **PREFLIGHT})
    answer = await through.post(TOKEN, data=form, auth=credentials, headers={"Origin": APP})
    refused = await through.post(TOKEN, data=form, headers={"Origin": APP})

    assert asked.status_code == 200
    assert cors(asked)["access-control-allow-origin"] == APP
    assert "authorization" in cors(asked)["access-control-allow-headers"].lower()
    assert "POST" in cors(asked)["access-control-allow-methods"]
    assert (answer.status_code, cors(answer)["access-control-allow-origin"]) == (200, APP)
    # without it the page could not read why not
    assert (refused.status_code, cors(refused)["access-control-allow-origin"]) == (401, APP)
    # a cookie of the sign-in never counts for another origin
    assert not [each for each in (asked, answer, refused) if "access-control-allow-credentials" in cors(each)]


async def test_no_other_page_may(through: httpx2.AsyncClient) -> None:
    for path in (TOKEN, USERINFO, "/login", "/.well-known/jwks.json", GUARDED):
        asked = await through.options(path, headers={"Origin": STRANGER, **PREFLIGHT})
        answer = await through.get(path, headers={"Origin": STRANGER})

        assert "access-control-allow-origin" not in cors(asked) | cors(answer), path


async def test_auth_itself_allows_no_origin_anything(direct: httpx2.AsyncClient) -> None:
    for path in (TOKEN, USERINFO, "/login", "/.well-known/openid-configuration", "/v1/users/me"):
        asked = await direct.options(path, headers={"Origin": APP, **PREFLIGHT})
        answer = await direct.get(path, headers={"Origin": APP})

        assert cors(asked) | cors(answer) == {}, path

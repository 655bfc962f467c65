"""Tokens that auth must not believe, at its own API and where it says who a person is."""

import uuid
from collections.abc import AsyncGenerator

import httpx2
import pytest
from joserfc.jwk import RSAKey
from prometheus_client import CollectorRegistry
from uuid_utils.compat import uuid7

from services.auth.keys.ring import open_key_ring
from services.common.postgres import open_postgres, session_maker
from tests.auth.conftest import AUDIENCE, ORIGIN, MakeSettings
from tests.support.databases import execute
from tests.support.forger import Forger
from tests.support.hostile_tokens import PRESENTATIONS, TOKENS
from tests.support.token_checks import Target, check_good, check_hostile, check_megabyte, check_presentation

Output = pytest.CaptureFixture[str]
PATHS = ["/v1/clients", "/oauth2/userinfo"]


@pytest.fixture(scope="module")
async def key(make_settings: MakeSettings) -> AsyncGenerator[RSAKey]:
    """The private key with which the application signs."""
    settings = make_settings()
    async with (
        open_postgres(settings, CollectorRegistry()) as engine,
        open_key_ring(settings, session_maker(engine)) as ring,
    ):
        [found] = ring._opened.values()
        yield found


@pytest.fixture(scope="module")
def person(migrated_url: str) -> str:
    """Somebody who uses the client that the tokens name."""
    user_id = uuid.uuid4()
    client = "'tests', 'Tests', 'none', ARRAY['authorization_code'], ARRAY['openid']"
    execute(
        migrated_url,
        f"INSERT INTO users (id, email, name, password_hash) VALUES ('{user_id}', 'a@slipway.test', 'Ada', 'none')",  # noqa: S608 - of our own words
        f"INSERT INTO clients (id, name, authentication_method, grant_types, scopes) VALUES ({client})",  # noqa: S608
    )
    return str(user_id)


@pytest.fixture(params=PATHS)
def target(request: pytest.FixtureRequest, client: httpx2.AsyncClient, key: RSAKey, person: str) -> Target:
    key = RSAKey.import_key(key.as_pem(private=True), {"kid": key.thumbprint()})
    more = {"sub": person, "jti": str(uuid7()), "scope": "openid users:read"}
    return Target(client, request.param, Forger(key, ORIGIN, AUDIENCE, more))


async def test_the_token_that_they_are_made_of_is_believed(target: Target) -> None:
    await check_good(target)


@pytest.mark.parametrize("name", TOKENS, ids=ascii)
async def test_it_is_refused_and_leaves_no_trace(target: Target, name: str, capsys: Output) -> None:
    await check_hostile(target, name, capsys)


@pytest.mark.parametrize("name", PRESENTATIONS)
async def test_a_good_token_is_taken_in_one_place_only(target: Target, name: str, capsys: Output) -> None:
    await check_presentation(target, name, capsys)


async def test_a_token_of_a_megabyte_is_not_read(target: Target) -> None:
    await check_megabyte(target)

"""The development issuer: its tokens are believed by the other services, and it runs nowhere but in development."""

from collections.abc import AsyncGenerator

import httpx2
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import KeySet
from pydantic import ValidationError

from services.common.settings import TokenSettings, sentences
from services.common.tokens import open_token_verifier
from services.issuer.main import create_app
from services.issuer.settings import IssuerSettings
from tests.support.clients import app_client

ISSUER = "https://slipway.test"
FORM = {"grant_type": "client_credentials", "client_id": "alice", "scope": "items:read items:write"}


@pytest_asyncio.fixture
async def client() -> AsyncGenerator[httpx2.AsyncClient]:
    app = create_app(IssuerSettings(environment="development", issuer=ISSUER, audience="slipway"))
    async with app_client(app) as client:
        yield client


async def test_a_token_is_believed_by_the_verifier_of_the_services(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/oauth2/token", data=FORM)

    settings = TokenSettings(issuer=ISSUER, audience="slipway", auth_url=str(client.base_url))
    async with open_token_verifier(settings) as verifier:
        principal = await verifier.verify(answer.json()["access_token"])
    assert principal.subject == "alice"
    assert principal.scopes == {"items:read", "items:write"}


async def test_the_answer_is_that_of_rfc_6749_and_kept_by_no_cache(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/oauth2/token", data=FORM)

    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["scope"], body["expires_in"]) == ("Bearer", FORM["scope"], 3600)


async def test_the_key_set_has_the_public_half_alone(client: httpx2.AsyncClient) -> None:
    keys = (await client.get("/.well-known/jwks.json")).json()
    token = (await client.post("/oauth2/token", data=FORM)).json()["access_token"]

    assert not {"d", "p", "q"} & keys["keys"][0].keys()
    assert jwt.decode(token, KeySet.import_key_set(keys)).header["typ"] == "at+jwt"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "unsupported_grant_type"),
        ({**FORM, "grant_type": "password"}, "unsupported_grant_type"),
        ({**FORM, "client_id": ""}, "invalid_request"),
        ({**FORM, "client_id": "a\nb"}, "invalid_request"),
    ],
)
async def test_a_wrong_request_gets_the_error_of_rfc_6749(
    client: httpx2.AsyncClient, form: dict[str, str], error: str
) -> None:
    answer = await client.post("/oauth2/token", data=form)

    assert answer.status_code == 400
    assert answer.json()["error"] == error


def test_it_does_not_start_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENVIRONMENT": "production", "ISSUER": ISSUER, "AUDIENCE": "slipway"}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError) as refusal:
        IssuerSettings()

    assert any(sentence.startswith("ENVIRONMENT") for sentence in sentences(refusal.value))

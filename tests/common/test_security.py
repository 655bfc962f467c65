"""Who may call what, over HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI

from services.common.app import create_service
from services.common.security import CurrentPrincipal, require_scopes
from services.common.settings import ServiceSettings, TokenSettings
from services.common.tokens import open_token_verifier
from tests.support.clients import app_client
from tests.support.tokens import Issuer, KeyServer

router = APIRouter()


@router.get("/me")
async def me(principal: CurrentPrincipal) -> dict[str, str]:
    return {"subject": principal.subject}


@router.get("/admin", dependencies=[require_scopes("items:admin", "items:read")])
async def admin() -> dict[str, bool]:
    return {"admin": True}


@pytest.fixture(scope="module")
async def service(issuer: Issuer, jwks: KeyServer) -> AsyncIterator[httpx2.AsyncClient]:
    settings = TokenSettings(issuer=issuer.issuer, audience=issuer.audience, jwks_url=jwks.url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with open_token_verifier(settings) as verifier:
            yield {"token_verifier": verifier}

    app = create_service(ServiceSettings(), title="Security", routers=[router], lifespan=lifespan)
    async with app_client(app) as client:
        yield client


async def test_a_good_token_opens(service: httpx2.AsyncClient, issuer: Issuer) -> None:
    answer = await service.get("/me", headers=issuer.headers(sub="bob"))

    assert answer.json() == {"subject": "bob"}


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
async def test_the_scheme_has_no_case(service: httpx2.AsyncClient, issuer: Issuer, scheme: str) -> None:
    answer = await service.get("/me", headers={"Authorization": f"{scheme} {issuer.token()}"})

    assert answer.status_code == 200


@pytest.mark.parametrize("value", ["", "Bearer", "Basic YTpi", "Token abc", "nonsense"])
async def test_without_a_bearer_token_the_answer_is_401(service: httpx2.AsyncClient, value: str) -> None:
    answer = await service.get("/me", headers={"Authorization": value} if value else {})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_two_tokens_are_none(service: httpx2.AsyncClient, issuer: Issuer) -> None:
    headers = [("Authorization", f"Bearer {issuer.token(sub=sub)}") for sub in ("alice", "bob")]

    assert (await service.get("/me", headers=headers)).status_code == 401


async def test_a_bad_token_is_401_and_says_so(service: httpx2.AsyncClient, issuer: Issuer) -> None:
    answer = await service.get("/me", headers=issuer.headers(aud="other"))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_token_in_the_query_is_not_looked_at(service: httpx2.AsyncClient, issuer: Issuer) -> None:
    assert (await service.get(f"/me?access_token={issuer.token()}")).status_code == 401


async def test_headers_that_name_a_user_are_not_believed(service: httpx2.AsyncClient) -> None:
    assert (await service.get("/me", headers={"X-User-Id": "alice"})).status_code == 401


@pytest.mark.parametrize("scope", ["", "items:read", "items:admin", "items:adminitems:read", "items:admin,items:read"])
async def test_every_scope_is_needed(service: httpx2.AsyncClient, issuer: Issuer, scope: str) -> None:
    answer = await service.get("/admin", headers=issuer.headers(scope=scope))

    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == ('Bearer error="insufficient_scope", scope="items:admin items:read"')


async def test_more_scopes_than_needed_do_no_harm(service: httpx2.AsyncClient, issuer: Issuer) -> None:
    answer = await service.get("/admin", headers=issuer.headers(scope="a items:read b items:admin"))

    assert answer.json() == {"admin": True}


async def test_who_is_unknown_is_not_told_what_is_needed(service: httpx2.AsyncClient) -> None:
    assert (await service.get("/admin")).status_code == 401


async def test_a_pipelined_request_inherits_nothing_of_the_one_before(
    service: httpx2.AsyncClient, issuer: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.base_url.port)
    known = f"GET /me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {issuer.token()}\r\n\r\n"
    writer.write((known + "GET /me HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").encode())
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()

    lines = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "status" in line]
    assert [(line["status"], line.get("subject")) for line in lines] == [(200, "alice"), (401, None)]

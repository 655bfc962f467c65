"""Many at once, over two replicas: RACE_ROUNDS times, a few unless the environment says more."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace

import httpx2
import pytest

from services.auth.main import create_app
from services.auth.settings import AuthSettings
from tests.auth.oauth.flows import Flow
from tests.support.clients import app_client

ROUNDS = int(os.environ.get("RACE_ROUNDS", "3"))
AT_ONCE = 8
OFFLINE = "openid items:read offline_access"


@pytest.fixture(scope="module")
async def second_http(settings: AuthSettings) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of another replica, with connections of its own to the same Postgres and Redis."""
    async with app_client(create_app(settings)) as opened:
        yield opened


@pytest.fixture
def replicas(flow: Flow, second_http: httpx2.AsyncClient) -> list[Flow]:
    """The same person and client, by turns at the two replicas."""
    return [flow, replace(flow, http=second_http)] * (AT_ONCE // 2)


async def test_of_many_who_redeem_a_code_at_once_one_gets_tokens_and_they_end(flow: Flow, replicas: list[Flow]) -> None:
    for number in range(1, ROUNDS + 1):
        code = await flow.code(scope=OFFLINE)
        answers = await asyncio.gather(*(replica.redeem(code) for replica in replicas))

        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: AT_ONCE - 1}
        assert {answer.json().get("error") for answer in answers} == {None, "invalid_grant"}
        [tokens] = [answer.json() for answer in answers if answer.status_code == 200]
        assert (await flow.userinfo(tokens["access_token"])).status_code == 401
        assert (await flow.refresh(tokens["refresh_token"])).status_code == 400
        for event in ("token_issued", "code_replayed"):
            assert len(flow.parties.events(event, flow.client)) == number


async def test_many_who_refresh_at_once_get_one_and_the_same_successor(flow: Flow, replicas: list[Flow]) -> None:
    token = (await flow.tokens(scope=OFFLINE))["refresh_token"]
    for number in range(1, ROUNDS + 1):
        answers = await asyncio.gather(*(replica.refresh(token) for replica in replicas))

        assert Counter(answer.status_code for answer in answers) == {200: AT_ONCE}
        assert len({answer.json()["access_token"] for answer in answers}) == AT_ONCE
        [token] = {answer.json()["refresh_token"] for answer in answers}
        family = f"SELECT id FROM grants WHERE client_id = '{flow.client.id}' AND revoked_at IS NULL"
        rows = flow.parties.sql(f"SELECT used_at FROM refresh_tokens WHERE grant_id = ({family})")
        assert len(rows) == number + 1
        assert len([row for row in rows if row["used_at"] is None]) == 1


async def test_no_refresh_gets_past_a_revocation_at_the_same_moment(flow: Flow, replicas: list[Flow]) -> None:
    for _ in range(ROUNDS):
        token = (await flow.tokens(scope=OFFLINE))["refresh_token"]
        form = {"token": token, **flow.client.authentication()}
        revoked, *answers = await asyncio.gather(
            flow.http.post("/oauth2/revoke", data=form), *(replica.refresh(token) for replica in replicas[1:4])
        )

        assert revoked.status_code == 200
        assert {answer.status_code for answer in answers} <= {200, 400}
        for tokens in (answer.json() for answer in answers if answer.status_code == 200):
            assert (await flow.userinfo(tokens["access_token"])).status_code == 401
            assert (await flow.refresh(tokens["refresh_token"])).status_code == 400


async def test_replays_at_once_end_the_family_once(flow: Flow, replicas: list[Flow]) -> None:
    for number in range(1, ROUNDS + 1):
        token = (await flow.tokens(scope=OFFLINE))["refresh_token"]
        await flow.refresh(token)
        flow.parties.sql("UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds'")
        answers = await asyncio.gather(*(replica.refresh(token) for replica in replicas))

        assert {answer.status_code for answer in answers} == {400}
        assert len(flow.parties.events("token_replayed", flow.client)) == number

"""Eight at once, over two processes: RACE_ROUNDS times, 20 unless the environment says more.

The processes wait a moment where two requests could meet (`tests.auth.racing`). The last test takes their locks away
and sees each of these promises broken.
"""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest

from services.auth.settings import AuthSettings
from tests.auth.oauth.flows import Flow
from tests.auth.processes import AT_ONCE, ROUNDS, two_replicas
from tests.support.processes import Process

OFFLINE = "openid items:read offline_access"
TIMEOUT_SECONDS = 30

Replicas = list[Flow]


@asynccontextmanager
async def over(flow: Flow, processes: list[Process]) -> AsyncGenerator[Replicas]:
    """The same person and client, by turns at the processes, with connections of their own."""
    async with (
        httpx2.AsyncClient(base_url=processes[0].url, timeout=TIMEOUT_SECONDS) as first,
        httpx2.AsyncClient(base_url=processes[1].url, timeout=TIMEOUT_SECONDS) as second,
    ):
        yield [replace(flow, http=http) for http in (first, second)] * (AT_ONCE // 2)


@pytest.fixture(scope="module")
def processes(settings: AuthSettings) -> Iterator[list[Process]]:
    with two_replicas(settings) as started:
        yield started


@pytest.fixture
async def replicas(flow: Flow, processes: list[Process]) -> AsyncGenerator[Replicas]:
    async with over(flow, processes) as opened:
        yield opened


async def redeem_at_once(replicas: Replicas, rounds: int) -> None:
    """Of many who redeem a code one gets tokens, and they end, as somebody else has the code too."""
    flow = replicas[0]
    for number in range(1, rounds + 1):
        code = await flow.code(scope=OFFLINE)
        answers = await asyncio.gather(*(replica.redeem(code) for replica in replicas))

        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: AT_ONCE - 1}
        assert {answer.json().get("error") for answer in answers} == {None, "invalid_grant"}
        [tokens] = [answer.json() for answer in answers if answer.status_code == 200]
        assert (await flow.userinfo(tokens["access_token"])).status_code == 401
        assert (await flow.refresh(tokens["refresh_token"])).status_code == 400
        for event in ("token_issued", "code_replayed"):
            assert len(flow.parties.events(event, flow.client)) == number


async def refresh_at_once(replicas: Replicas, rounds: int) -> None:
    """Many who refresh get one and the same successor, and the family has one unused token after each round."""
    flow = replicas[0]
    token = (await flow.tokens(scope=OFFLINE))["refresh_token"]
    for number in range(1, rounds + 1):
        answers = await asyncio.gather(*(replica.refresh(token) for replica in replicas))

        assert Counter(answer.status_code for answer in answers) == {200: AT_ONCE}
        assert len({answer.json()["access_token"] for answer in answers}) == AT_ONCE
        [token] = {answer.json()["refresh_token"] for answer in answers}
        family = f"SELECT id FROM grants WHERE client_id = '{flow.client.id}' AND revoked_at IS NULL"
        rows = flow.parties.sql(f"SELECT used_at FROM refresh_tokens WHERE grant_id = ({family})")
        assert len(rows) == number + 1
        assert len([row for row in rows if row["used_at"] is None]) == 1


async def replay_at_once(replicas: Replicas, rounds: int) -> None:
    """Replays end the family once, whoever of them is first."""
    flow = replicas[0]
    for number in range(1, rounds + 1):
        token = (await flow.tokens(scope=OFFLINE))["refresh_token"]
        await flow.refresh(token)
        flow.parties.sql("UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds'")
        answers = await asyncio.gather(*(replica.refresh(token) for replica in replicas))

        assert {answer.status_code for answer in answers} == {400}
        assert len(flow.parties.events("token_replayed", flow.client)) == number


RACES: list[Callable[[Replicas, int], Awaitable[None]]] = [redeem_at_once, refresh_at_once, replay_at_once]


@pytest.mark.parametrize("race", RACES)
async def test_what_is_good_once_is_taken_once(
    replicas: Replicas, race: Callable[[Replicas, int], Awaitable[None]]
) -> None:
    await race(replicas, ROUNDS)


async def test_no_refresh_gets_past_a_revocation_at_the_same_moment(replicas: Replicas) -> None:
    flow = replicas[0]
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


async def test_without_the_locks_each_of_these_promises_is_broken(settings: AuthSettings, flow: Flow) -> None:
    with two_replicas(settings, WITHOUT_LOCKS="1") as processes:
        async with over(flow, processes) as replicas:
            for race in RACES:
                other = [replica.of(app) for app in [flow.parties.app()] for replica in replicas]
                with pytest.raises((AssertionError, ValueError)):  # ValueError: there is more than one, or none
                    await race(other, ROUNDS)

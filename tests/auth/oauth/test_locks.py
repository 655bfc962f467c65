"""A token is made from what is true when it is made: whoever takes something away meanwhile is waited for."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import asyncpg  # type: ignore[import-untyped]
import httpx2
import pytest

from tests.auth.oauth.flows import TOKEN, Flow, error_of

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
DEADLINE_SECONDS = 30.0


@pytest.fixture
async def other(migrated_url: str) -> AsyncGenerator[asyncpg.Connection]:
    """An administrator's connection."""
    connection = await asyncpg.connect(migrated_url, timeout=30)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def watcher(migrated_url: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated_url, timeout=30)
    try:
        yield connection
    finally:
        await connection.close()


Meanwhile = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture
def meanwhile(other: asyncpg.Connection, watcher: asyncpg.Connection) -> Meanwhile:
    """Asks while an administrator's transaction is open, and commits that once somebody waits or has answered.

    What it does `then` is before the commit, while the other waits.
    """

    async def ask(statements: str, request: Awaitable[httpx2.Response], then: str = "") -> httpx2.Response:
        transaction = other.transaction()
        await transaction.start()
        await other.execute(statements)
        asking = asyncio.ensure_future(request)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not asking.done() and not await watcher.fetchval(WAITING):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        if then:
            await other.execute(then)
        await transaction.commit()
        return await asking

    return ask


TAKEN = [
    "UPDATE users SET disabled_at = now() WHERE id = '{user}'",
    "UPDATE clients SET disabled_at = now() WHERE id = '{client}'",
]


@pytest.mark.parametrize("statements", [*TAKEN, "UPDATE sessions SET ended_at = now() WHERE user_id = '{user}'"])
async def test_a_code_is_not_redeemed_past_what_is_being_ended(
    flow: Flow, meanwhile: Meanwhile, statements: str
) -> None:
    code = await flow.code()
    answer = await meanwhile(statements.format(user=flow.person, client=flow.client.id), flow.redeem(code))

    assert error_of(answer) == (400, "invalid_grant")


@pytest.mark.parametrize("statements", TAKEN)
async def test_nothing_is_refreshed_past_what_is_being_ended(flow: Flow, meanwhile: Meanwhile, statements: str) -> None:
    token = (await flow.tokens(scope="openid offline_access"))["refresh_token"]
    answer = await meanwhile(statements.format(user=flow.person, client=flow.client.id), flow.refresh(token))

    assert error_of(answer) == (400, "invalid_grant")


async def test_no_machine_gets_a_token_past_its_being_disabled(flow: Flow, meanwhile: Meanwhile) -> None:
    machine = flow.parties.app(grants=["client_credentials"])
    form = {"grant_type": "client_credentials", **machine.authentication()}
    answer = await meanwhile(TAKEN[1].format(client=machine.id), flow.http.post(TOKEN, data=form))

    assert error_of(answer) == (401, "invalid_client")


async def test_a_machines_token_is_dated_after_the_wait_for_its_client(flow: Flow, meanwhile: Meanwhile) -> None:
    machine = flow.parties.app(grants=["client_credentials"])
    form = {"grant_type": "client_credentials", **machine.authentication()}
    lock = f"SELECT 1 FROM clients WHERE id = '{machine.id}' FOR UPDATE"
    revoke = f"INSERT INTO revocations (kind, target) VALUES ('client', '{machine.id}')"
    tick = "SELECT pg_sleep(0.005)"  # a token of the revocation's own millisecond is refused with those before it

    answer = await meanwhile(lock, flow.http.post(TOKEN, data=form), then=f"{revoke}; {tick}")

    token = answer.json()["access_token"]
    asked = await flow.http.post("/oauth2/introspect", data={"token": token, **flow.client.authentication()})
    assert asked.json()["active"]  # it was made after the revocation


async def test_no_token_holds_a_role_that_was_being_taken_away(flow: Flow, meanwhile: Meanwhile) -> None:
    token = (await flow.tokens(scope="openid items:write items:read offline_access"))["refresh_token"]
    taken = (
        f"UPDATE users SET updated_at = now() WHERE id = '{flow.person}';"
        f"UPDATE user_roles SET role = 'viewer' WHERE user_id = '{flow.person}';"
        f"INSERT INTO revocations (kind, target) VALUES ('user', '{flow.person}')"
    )
    answer = (await meanwhile(taken, flow.refresh(token))).json()

    assert answer["scope"] == "openid items:read offline_access"
    assert (await flow.userinfo(answer["access_token"])).status_code == 200  # made after the revocation


async def test_no_code_gets_past_a_consent_that_is_being_taken_back(flow: Flow, meanwhile: Meanwhile) -> None:
    client = flow.parties.app(first_party=False)
    consent = f"user_id = '{flow.person}' AND client_id = '{client.id}'"
    flow.parties.sql(
        f"INSERT INTO consents (user_id, client_id, scopes) VALUES ('{flow.person}', '{client.id}', ARRAY['openid'])"
    )
    asking = flow.of(client).authorize(scope="openid")

    answer = await meanwhile(f"DELETE FROM consents WHERE {consent}", asking)

    assert answer.headers["location"].startswith("/login/consent?")

"""Revocation (RFC 7009) and introspection (RFC 7662)."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import asyncio
import time

import httpx2
import pytest

from tests.auth.oauth.flows import Flow, error_of

REVOKE, INTROSPECT = "/oauth2/revoke", "/oauth2/introspect"
OFFLINE = "openid items:read offline_access"


async def revoke(flow: Flow, token: str, **more: str) -> httpx2.Response:
    return await flow.http.post(REVOKE, data={"token": token, **flow.client.authentication(), **more})


async def introspect(flow: Flow, token: str, **more: str) -> httpx2.Response:
    return await flow.http.post(INTROSPECT, data={"token": token, **flow.client.authentication(), **more})


async def is_active(flow: Flow, token: str) -> bool:
    answer = await introspect(flow, token)
    assert answer.status_code == 200
    body = answer.json()
    assert body["active"] or body == {"active": False}
    return bool(body["active"])


async def test_a_token_is_live_until_its_time_is_over_and_not_a_second_longer(flow: Flow) -> None:
    claims = flow.claims((await flow.tokens(scope=OFFLINE))["access_token"])
    live, over = (flow.server.ring.sign(claims | {"exp": int(time.time()) + seconds}, "at+jwt") for seconds in (60, -1))

    assert [await is_active(flow, live), (await flow.userinfo(live)).status_code] == [True, 200]
    assert [await is_active(flow, over), (await flow.userinfo(over)).status_code] == [False, 401]


async def test_a_revoked_access_token_ends_alone(flow: Flow) -> None:
    tokens = await flow.tokens(scope=OFFLINE)
    other = (await flow.refresh(tokens["refresh_token"])).json()
    woken = flow.server.wakes.count

    answer = await revoke(flow, tokens["access_token"])

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (await flow.userinfo(tokens["access_token"])).status_code == 401
    assert (await flow.userinfo(other["access_token"])).status_code == 200
    assert (await flow.refresh(other["refresh_token"])).status_code == 200
    assert flow.server.wakes.count == woken + 1


async def test_a_revoked_refresh_token_ends_its_grant_with_all_its_tokens_and_no_other(flow: Flow) -> None:
    tokens, other = await flow.tokens(scope=OFFLINE), await flow.tokens(scope=OFFLINE)

    assert (await revoke(flow, tokens["refresh_token"])).status_code == 200

    assert error_of(await flow.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    assert (await flow.userinfo(tokens["access_token"])).status_code == 401
    assert (await flow.userinfo(other["access_token"])).status_code == 200
    assert (await flow.refresh(other["refresh_token"])).status_code == 200


async def test_a_used_refresh_token_ends_its_grant_too_and_its_retry(flow: Flow) -> None:
    token = (await flow.tokens(scope=OFFLINE))["refresh_token"]
    newest = (await flow.refresh(token)).json()

    assert (await revoke(flow, token)).status_code == 200

    assert error_of(await flow.refresh(token)) == (400, "invalid_grant")
    assert error_of(await flow.refresh(newest["refresh_token"])) == (400, "invalid_grant")
    assert (await flow.userinfo(newest["access_token"])).status_code == 401


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_each_is_written_down_once_however_often_it_is_asked_for(flow: Flow, kind: str) -> None:
    token = (await flow.tokens(scope=OFFLINE))[kind]

    answers = await asyncio.gather(*(revoke(flow, token) for _ in range(4)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(flow.parties.events("token_revoked", flow.client)) == 1


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", '"'])
async def test_a_wrong_or_unknown_hint_changes_nothing(flow: Flow, hint: str) -> None:
    tokens = await flow.tokens(scope=OFFLINE)

    assert (await introspect(flow, tokens["access_token"], token_type_hint=hint)).json()["active"]
    answers = [await revoke(flow, tokens[kind], token_type_hint=hint) for kind in ("access_token", "refresh_token")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert not await is_active(flow, tokens["access_token"])


@pytest.mark.parametrize("token", ["guess", "a.b.c", "\u2603", "x" * 100_000])
async def test_what_nobody_knows_is_as_good_as_revoked(flow: Flow, token: str) -> None:
    assert (await revoke(flow, token)).status_code == 200
    assert not await is_active(flow, token)


@pytest.mark.parametrize("path", [REVOKE, INTROSPECT])
async def test_without_a_token_or_a_client_there_is_nothing_to_answer(flow: Flow, path: str) -> None:
    no_token = await flow.http.post(path, data=flow.client.authentication())
    no_client = await flow.http.post(path, data={"token": "guess"})
    no_form = await flow.http.post(path, content=b"")

    assert error_of(no_token) == error_of(no_form) == (400, "invalid_request")
    assert error_of(no_client) == (401, "invalid_client")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_nobody_revokes_the_tokens_of_another_client(flow: Flow, kind: str) -> None:
    token = (await flow.tokens(scope=OFFLINE))[kind]

    assert error_of(await revoke(flow.of(flow.parties.app()), token)) == (400, "invalid_grant")
    assert await is_active(flow, token)


async def test_a_client_without_a_secret_revokes_its_own_and_is_told_nothing_about_tokens(flow: Flow) -> None:
    public = flow.of(flow.parties.app(method="none"))
    tokens = await public.tokens(scope=OFFLINE)

    asked = await introspect(public, tokens["access_token"])
    revoked = await revoke(public, tokens["refresh_token"])

    assert error_of(asked) == (401, "invalid_client")
    assert revoked.status_code == 200
    assert (await flow.userinfo(tokens["access_token"])).status_code == 401


async def test_introspection_says_what_a_live_token_says(flow: Flow) -> None:
    tokens = await flow.tokens(scope=OFFLINE)

    access = (await introspect(flow, tokens["access_token"])).json()
    refresh = (await introspect(flow, tokens["refresh_token"])).json()

    assert access == {"active": True, "token_type": "Bearer", **flow.claims(tokens["access_token"])}
    exp = refresh.pop("exp")
    assert exp > access["exp"]
    assert refresh == {
        "active": True,
        "client_id": flow.client.id,
        "sub": str(flow.person),
        "scope": OFFLINE,
        "iss": access["iss"],
    }


async def test_a_service_may_ask_about_access_tokens_of_others_and_not_about_their_refresh_tokens(flow: Flow) -> None:
    tokens = await flow.tokens(scope=OFFLINE)
    service = flow.of(flow.parties.app(grants=["client_credentials"]))

    assert await is_active(service, tokens["access_token"])
    assert not await is_active(service, tokens["refresh_token"])


async def test_no_id_token_and_no_code_is_an_active_token(flow: Flow) -> None:
    code = await flow.code()

    assert not await is_active(flow, code)
    assert not await is_active(flow, (await flow.redeem(code)).json()["id_token"])


@pytest.mark.parametrize(
    ("change", "access", "refresh"),
    [
        ("UPDATE users SET disabled_at = now() WHERE id = '{user}'", False, False),
        ("UPDATE grants SET revoked_at = now() WHERE user_id = '{user}'", False, False),
        ("UPDATE sessions SET ended_at = now() WHERE user_id = '{user}'", False, True),
        ("UPDATE refresh_tokens SET expires_at = now()", True, False),
        ("UPDATE grants SET expires_at = now() WHERE user_id = '{user}'", True, False),
        ("INSERT INTO revocations (kind, target) VALUES ('user', '{user}')", False, True),
    ],
)
async def test_introspection_knows_at_once_what_has_ended(flow: Flow, change: str, access: bool, refresh: bool) -> None:
    tokens = await flow.tokens(scope=OFFLINE)
    flow.parties.sql(change.format(user=flow.person))

    assert await is_active(flow, tokens["access_token"]) is access
    assert await is_active(flow, tokens["refresh_token"]) is refresh


async def test_a_token_issued_after_its_user_was_revoked_is_live(flow: Flow) -> None:
    old = await flow.tokens(scope=OFFLINE)
    flow.parties.sql(f"INSERT INTO revocations (kind, target) VALUES ('user', '{flow.person}')")
    new = await flow.tokens(scope=OFFLINE)

    assert not await is_active(flow, old["access_token"])
    assert await is_active(flow, new["access_token"])

"""Signing out on a client's wish (OpenID Connect RP-Initiated Logout 1.0), as its conformance tests ask."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import base64
import json
from dataclasses import replace

import httpx2
import pytest

from tests.auth.oauth.conftest import SignIn
from tests.auth.oauth.flows import Flow, error_of, said, target

LOGOUT = "/oauth2/logout"
AFTER = "https://app.example/after"


@pytest.fixture
def leaving(flow: Flow) -> Flow:
    """A client that has registered where to go afterwards."""
    return flow.of(flow.parties.app(post_logout_redirect_uris=[AFTER, f"{AFTER}?a=b%20c&d"]))


async def leave(flow: Flow, **parameters: str) -> httpx2.Response:
    return await flow.http.get(LOGOUT, params=parameters, headers=flow.cookie)


async def is_signed_in(flow: Flow) -> bool:
    return "code" in said(await flow.authorize(prompt="none"))


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


async def test_the_session_ends_and_the_browser_goes_to_the_registered_address_with_the_state(leaving: Flow) -> None:
    hint = (await leaving.tokens())["id_token"]
    woken = leaving.server.wakes.count
    answer = await leave(leaving, id_token_hint=hint, post_logout_redirect_uri=AFTER, state="left & gone")

    assert target(answer) == AFTER
    assert said(answer) == {"state": "left & gone"}
    assert answer.headers["set-cookie"].startswith('__Host-session=""; ')
    assert said(await leaving.authorize(prompt="none"))["error"] == "login_required"
    assert leaving.server.wakes.count == woken + 1


async def test_what_was_granted_in_the_session_ends_and_what_was_granted_for_longer_does_not(leaving: Flow) -> None:
    short, long = await leaving.tokens(), await leaving.tokens(scope="openid offline_access")
    await leave(leaving, id_token_hint=short["id_token"])

    assert (await leaving.userinfo(short["access_token"])).status_code == 401
    assert (await leaving.userinfo(long["access_token"])).status_code == 401
    fresh = (await leaving.refresh(long["refresh_token"])).json()
    assert (await leaving.userinfo(fresh["access_token"])).status_code == 200
    [ended] = leaving.parties.sql(
        f"SELECT * FROM audit_entries WHERE event = 'session_ended' AND subject = '{leaving.person}'"
    )
    assert leaving.claims(short["id_token"])["sid"] == str(ended["session_id"])


async def test_the_query_of_a_registered_address_stays_as_it_is(leaving: Flow) -> None:
    hint, address = (await leaving.tokens())["id_token"], f"{AFTER}?a=b%20c&d"
    answer = await leave(leaving, id_token_hint=hint, post_logout_redirect_uri=address, state="s")

    assert answer.headers["location"] == f"{address}&state=s"


@pytest.mark.parametrize(
    "address", ["https://app.example/other", AFTER + "/", AFTER + "?x=y", "https://evil.example/", "javascript:x"]
)
async def test_no_other_address_is_gone_to_though_the_session_ends(leaving: Flow, address: str) -> None:
    hint = (await leaving.tokens())["id_token"]
    answer = await leave(leaving, id_token_hint=hint, post_logout_redirect_uri=address, state="s")

    assert answer.headers["location"] == "/logout"
    assert not await is_signed_in(leaving)


async def test_without_a_good_hint_the_person_is_asked_and_nothing_ends(leaving: Flow) -> None:
    tokens = await leaving.tokens()
    hints = [unsigned(tokens["id_token"]), tokens["id_token"][:-4] + "AAAA", tokens["access_token"], "x", "a.b.c"]
    answers = [await leave(leaving, id_token_hint=hint, post_logout_redirect_uri=AFTER) for hint in hints]
    answers += [
        await leave(leaving),
        await leave(leaving, state="s"),
        await leave(leaving, post_logout_redirect_uri=AFTER),
        await leave(leaving, post_logout_redirect_uri=AFTER, client_id=leaving.client.id),
    ]

    assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {(303, "/logout")}
    assert await is_signed_in(leaving)


async def test_a_hint_that_has_expired_is_good_enough(leaving: Flow) -> None:
    claims = leaving.claims((await leaving.tokens())["id_token"])
    hint = leaving.server.ring.sign({**claims, "exp": 1}, "JWT")

    assert target(await leave(leaving, id_token_hint=hint, post_logout_redirect_uri=AFTER)) == AFTER
    assert not await is_signed_in(leaving)


async def test_a_client_that_names_another_gets_a_page(leaving: Flow) -> None:
    hint = (await leaving.tokens())["id_token"]
    answer = await leave(
        leaving, id_token_hint=hint, client_id=leaving.parties.app().id, post_logout_redirect_uri=AFTER
    )
    twice = await leaving.http.get(f"{LOGOUT}?id_token_hint={hint}&id_token_hint={hint}", headers=leaving.cookie)

    assert (answer.status_code, twice.status_code) == (400, 400)
    assert await is_signed_in(leaving)


async def test_a_form_without_the_cookie_ends_the_session_that_the_hint_names(leaving: Flow) -> None:
    hint = (await leaving.tokens())["id_token"]
    form = {"id_token_hint": hint, "post_logout_redirect_uri": AFTER, "state": "s"}
    answer = await leaving.http.post(LOGOUT, data=form)

    assert (target(answer), said(answer)) == (AFTER, {"state": "s"})
    assert not await is_signed_in(leaving)


async def test_somebody_else_in_the_same_browser_stays_signed_in(leaving: Flow, sign_in: SignIn) -> None:
    hint = (await leaving.tokens())["id_token"]
    other = replace(leaving, cookie=await sign_in(leaving.parties.person("viewer")))
    answer = await leave(other, id_token_hint=hint, post_logout_redirect_uri=AFTER)

    assert answer.headers["location"] == "/logout"
    assert await is_signed_in(other)
    assert await is_signed_in(leaving)


async def test_asking_again_goes_to_the_same_address_and_ends_nothing_more(leaving: Flow, sign_in: SignIn) -> None:
    hint = (await leaving.tokens())["id_token"]
    elsewhere = replace(leaving, cookie=await sign_in(leaving.person))
    answers = [await leave(leaving, id_token_hint=hint, post_logout_redirect_uri=AFTER) for _ in range(2)]

    assert [target(answer) for answer in answers] == [AFTER, AFTER]
    assert await is_signed_in(elsewhere)
    entries = f"SELECT 1 FROM audit_entries WHERE event = 'session_ended' AND subject = '{leaving.person}'"
    assert len(leaving.parties.sql(entries)) == 1


async def test_a_code_that_was_not_redeemed_yet_ends_with_the_session(leaving: Flow) -> None:
    hint, code = (await leaving.tokens())["id_token"], await leaving.code()
    await leave(leaving, id_token_hint=hint)

    assert error_of(await leaving.redeem(code)) == (400, "invalid_grant")


async def test_a_request_that_cannot_be_read_gets_a_page(flow: Flow) -> None:
    answers = [
        await flow.http.get(f"{LOGOUT}?state=%ff", headers=flow.cookie),
        await flow.http.post(LOGOUT, content=b"{}", headers={"Content-Type": "application/json"}),
        await flow.http.post(LOGOUT, data={"state": "x" * 5000}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert await is_signed_in(flow)

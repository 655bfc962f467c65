"""Refresh tokens: each is good once, a lost answer may be asked for again, a stolen one ends its family alone."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import base64
import hashlib

import pytest

from tests.auth.oauth.flows import Flow, error_of

OFFLINE = "openid items:read items:write offline_access"
LATER = "UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds' WHERE used_at IS NOT NULL"


async def first(flow: Flow, scope: str = OFFLINE) -> str:
    """The refresh token of a flow."""
    return str((await flow.tokens(scope=scope))["refresh_token"])


async def successor(flow: Flow, token: str, **more: str) -> str:
    answer = await flow.refresh(token, **more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["refresh_token"])


async def test_a_refresh_gives_a_new_access_token_and_another_refresh_token(flow: Flow) -> None:
    tokens = await flow.tokens(scope=OFFLINE)
    answer = await flow.refresh(tokens["refresh_token"])

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    fresh = answer.json()
    assert fresh.keys() == tokens.keys()
    assert fresh["scope"] == OFFLINE
    assert fresh["refresh_token"] != tokens["refresh_token"]
    before, after = flow.claims(tokens["access_token"]), flow.claims(fresh["access_token"])
    assert before["jti"] != after["jti"]
    same = ("iss", "aud", "sub", "client_id", "scope", "roles", "sid", "grant_id")
    assert [before[name] for name in same] == [after[name] for name in same]
    assert (await flow.userinfo(fresh["access_token"])).status_code == 200


async def test_the_id_token_of_a_refresh_is_that_of_the_same_sign_in_without_its_nonce(flow: Flow) -> None:
    tokens = await flow.tokens(scope=OFFLINE)
    fresh = (await flow.refresh(tokens["refresh_token"])).json()

    before, after = flow.claims(tokens["id_token"]), flow.claims(fresh["id_token"])
    assert before.pop("nonce") == "the nonce"
    assert before.keys() == after.keys()
    same = ("iss", "sub", "aud", "auth_time", "amr", "sid")  # OpenID Connect Core 12.2
    assert [before[name] for name in same] == [after[name] for name in same]
    assert before["at_hash"] != after["at_hash"]


async def test_a_refresh_token_is_256_bits_in_characters_that_need_no_escape_and_stored_as_its_hash(flow: Flow) -> None:
    token = await first(flow)
    next_one = await successor(flow, token)

    for value in (token, next_one):
        assert len(base64.urlsafe_b64decode(value + "=")) == 32
    rows = flow.parties.sql(
        "SELECT t.token_hash, t::text AS all FROM refresh_tokens t JOIN grants g ON g.id = t.grant_id "
        f"WHERE g.client_id = '{flow.client.id}' ORDER BY t.created_at"
    )
    assert [row["token_hash"] for row in rows] == [hashlib.sha256(v.encode()).digest() for v in (token, next_one)]
    assert not [row for row in rows if token in row["all"] or next_one in row["all"]]


async def test_there_is_none_without_offline_access_nor_for_a_client_without_the_grant(flow: Flow) -> None:
    without_scope = await flow.tokens(scope="openid items:read")
    client = flow.parties.app(grants=["authorization_code"])
    without_grant = await flow.of(client).tokens(scope=OFFLINE)

    assert "refresh_token" not in without_scope
    assert "refresh_token" not in without_grant
    assert "offline_access" not in without_grant["scope"]


async def test_a_retry_within_ten_seconds_gets_the_same_successor(flow: Flow) -> None:
    token = await first(flow)

    answers = [(await flow.refresh(token)).json() for _ in range(3)]
    flow.parties.sql(
        "UPDATE refresh_tokens SET used_at = used_at - interval '5 seconds' "
        f"WHERE token_hash = '\\x{hashlib.sha256(token.encode()).hexdigest()}'"
    )
    answers.append((await flow.refresh(token)).json())

    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert len({answer["access_token"] for answer in answers}) == 4
    assert (await flow.refresh(answers[0]["refresh_token"])).status_code == 200
    rows = flow.parties.sql(f"SELECT 1 FROM grants WHERE client_id = '{flow.client.id}' AND revoked_at IS NULL")
    assert len(rows) == 1


async def test_after_the_successor_was_used_it_is_no_retry_however_soon(flow: Flow) -> None:
    """Else who has stolen a token could follow its owner from one successor to the next, each within ten seconds."""
    token = await first(flow)
    newest = await successor(flow, await successor(flow, token))

    replayed = await flow.refresh(token)

    assert error_of(replayed) == (400, "invalid_grant")
    assert error_of(await flow.refresh(newest)) == (400, "invalid_grant")
    assert len(flow.parties.events("token_replayed", flow.client)) == 1


async def test_a_replay_after_that_ends_the_family_and_no_other(flow: Flow) -> None:
    token, other = await first(flow), await first(flow)
    newest = (await flow.refresh(token)).json()
    flow.parties.sql(LATER)
    woken = flow.server.wakes.count

    replayed = await flow.refresh(token)
    once_more = await flow.refresh(token)

    assert error_of(replayed) == error_of(once_more) == (400, "invalid_grant")
    assert error_of(await flow.refresh(newest["refresh_token"])) == (400, "invalid_grant")
    assert (await flow.userinfo(newest["access_token"])).status_code == 401
    others = (await flow.refresh(other)).json()
    assert (await flow.userinfo(others["access_token"])).status_code == 200
    assert len(flow.parties.events("token_replayed", flow.client)) == 1
    assert flow.server.wakes.count == woken + 1
    grant_id = flow.claims(newest["access_token"])["grant_id"]
    [revocation] = flow.parties.sql(f"SELECT * FROM revocations WHERE target = '{grant_id}'")
    assert revocation["kind"] == "grant"


async def test_an_old_token_replayed_generations_later_ends_the_family_as_well(flow: Flow) -> None:
    token = await first(flow)
    newest = await successor(flow, await successor(flow, await successor(flow, token)))
    flow.parties.sql(LATER)

    assert error_of(await flow.refresh(token)) == (400, "invalid_grant")
    assert error_of(await flow.refresh(newest)) == (400, "invalid_grant")


async def test_a_replay_is_one_even_when_the_person_is_disabled_by_now(flow: Flow) -> None:
    token = await first(flow)
    await successor(flow, token)
    flow.parties.sql(LATER)
    flow.parties.sql(f"UPDATE users SET disabled_at = now() WHERE id = '{flow.person}'")

    assert error_of(await flow.refresh(token)) == (400, "invalid_grant")
    assert len(flow.parties.events("token_replayed", flow.client)) == 1


async def test_another_client_gets_nothing_for_it_and_harms_nothing(flow: Flow) -> None:
    token = await first(flow)

    assert error_of(await flow.of(flow.parties.app()).refresh(token)) == (400, "invalid_grant")
    assert (await flow.refresh(token)).status_code == 200


async def test_a_used_one_in_the_hands_of_another_client_is_a_replay_at_once(flow: Flow) -> None:
    token = await first(flow)
    newest = await successor(flow, token)

    assert error_of(await flow.of(flow.parties.app()).refresh(token)) == (400, "invalid_grant")
    assert error_of(await flow.refresh(newest)) == (400, "invalid_grant")


async def test_fewer_scopes_may_be_asked_for_and_all_of_them_again_later(flow: Flow) -> None:
    token = await first(flow)

    fewer = (await flow.refresh(token, scope="items:read")).json()
    more = await flow.refresh(fewer["refresh_token"], scope="items:read items:admin")
    again = (await flow.refresh(fewer["refresh_token"])).json()

    assert (fewer["scope"], "id_token" in fewer) == ("items:read", False)
    assert error_of(more) == (400, "invalid_scope")
    assert again["scope"] == OFFLINE


async def test_a_role_that_was_taken_away_is_gone_from_the_next_token(flow: Flow) -> None:
    token = await first(flow)
    flow.parties.sql(f"UPDATE user_roles SET role = 'viewer' WHERE user_id = '{flow.person}'")

    answer = (await flow.refresh(token)).json()

    assert answer["scope"] == "openid items:read offline_access"
    assert flow.claims(answer["access_token"])["roles"] == ["viewer"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET disabled_at = now() WHERE id = '{user}'",
        "UPDATE grants SET revoked_at = now() WHERE client_id = '{client}'",
        "UPDATE grants SET expires_at = now() WHERE client_id = '{client}'",
        "UPDATE refresh_tokens SET expires_at = now()",
        "DELETE FROM users WHERE id = '{user}'",
    ],
)
async def test_a_refresh_token_ends_with_its_time_its_grant_and_its_user(flow: Flow, change: str) -> None:
    token = await first(flow)
    flow.parties.sql(change.format(user=flow.person, client=flow.client.id))

    assert error_of(await flow.refresh(token)) == (400, "invalid_grant")


async def test_one_goes_on_after_its_session_and_says_so_in_its_tokens(flow: Flow) -> None:
    token = await first(flow)
    flow.parties.sql(f"UPDATE sessions SET ended_at = now() WHERE user_id = '{flow.person}'")

    answer = (await flow.refresh(token)).json()

    assert "sid" not in flow.claims(answer["access_token"])
    assert "sid" not in flow.claims(answer["id_token"])
    assert (await flow.userinfo(answer["access_token"])).status_code == 200


async def test_using_one_in_time_puts_its_end_off_and_never_past_the_grants(flow: Flow) -> None:
    token = await first(flow)
    family = f"SELECT id FROM grants WHERE client_id = '{flow.client.id}'"
    flow.parties.sql(f"UPDATE grants SET expires_at = now() + interval '1 hour' WHERE client_id = '{flow.client.id}'")
    await successor(flow, token)

    rows = flow.parties.sql(
        "SELECT t.used_at IS NULL AS newest, t.expires_at - now() AS left FROM refresh_tokens t "
        f"WHERE grant_id = ({family})"
    )
    left = {row["newest"]: row["left"].total_seconds() for row in rows}
    assert 14 * 86_400 - 60 < left[False] < 14 * 86_400
    assert 3500 < left[True] < 3601


@pytest.mark.parametrize("token", ["guess", "\u2603" * 50, "x" * 100_000, "a.b.c"])
async def test_what_is_no_refresh_token_is_no_grant(flow: Flow, token: str) -> None:
    assert error_of(await flow.refresh(token)) == (400, "invalid_grant")


async def test_a_request_without_one_is_not_valid(flow: Flow) -> None:
    assert error_of(await flow.refresh("")) == (400, "invalid_request")


async def test_each_refresh_is_written_down_once_and_a_retry_as_one(flow: Flow) -> None:
    token = await first(flow)
    await flow.refresh(token)
    await flow.refresh(token)

    entries = flow.parties.events("token_refreshed", flow.client)
    assert ['"retried": true' in entry["details"] for entry in entries] == [False, True]
    assert not [entry for entry in entries if token in repr(dict(entry))]

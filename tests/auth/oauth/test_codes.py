"""The authorization code flow (RFC 6749 4.1) with PKCE and OpenID Connect, as a browser and a client see it."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import base64
import hashlib
from dataclasses import replace
from uuid import UUID

import pytest
from joserfc import jwt

from services.auth.keys.ring import KeyRing
from services.common.exceptions import UnavailableError
from tests.auth.conftest import AUDIENCE, ORIGIN
from tests.auth.oauth.conftest import SignIn
from tests.auth.oauth.flows import AUTHORIZE, CHALLENGE, VERIFIER, Flow, error_of, request_of, said, target
from tests.auth.oauth.parties import REDIRECT_URI


async def test_the_browser_goes_back_with_a_code_the_state_and_the_issuer_and_nothing_else(flow: Flow) -> None:
    answer = await flow.authorize()

    assert target(answer) == REDIRECT_URI
    parameters = said(answer)
    assert len(base64.urlsafe_b64decode(parameters.pop("code") + "=")) == 32  # 256 bits
    assert parameters == {"state": "the state", "iss": ORIGIN}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_code_becomes_an_access_token_for_the_platform_and_an_id_token_for_the_client(flow: Flow) -> None:
    tokens = await flow.tokens()

    [session] = flow.parties.sql(f"SELECT * FROM sessions WHERE user_id = '{flow.person}'")
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 300, "openid items:read")
    access = flow.claims(tokens["access_token"])
    identity = jwt.decode(tokens["id_token"], flow.server.keys, algorithms=["RS256"])
    assert UUID(access.pop("jti")).version == UUID(access.pop("grant_id")).version == 7
    assert access == {
        "iss": ORIGIN,
        "aud": AUDIENCE,
        "sub": str(flow.person),
        "client_id": flow.client.id,
        "scope": "openid items:read",
        "roles": ["editor"],
        "sid": str(session["id"]),
        "iat": access["iat"],
        "exp": access["iat"] + 300,
    }
    left_half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert identity.header == {"alg": "RS256", "typ": "JWT", "kid": flow.server.kid}
    assert identity.claims == {
        "iss": ORIGIN,
        "aud": flow.client.id,
        "sub": str(flow.person),
        "iat": access["iat"],
        "exp": access["iat"] + 300,
        "auth_time": int(session["authenticated_at"].timestamp()),
        "amr": ["pwd"],
        "nonce": "the nonce",
        "at_hash": base64.urlsafe_b64encode(left_half).rstrip(b"=").decode(),
        "sid": str(session["id"]),
    }


async def test_without_openid_there_is_no_id_token_and_without_a_nonce_none_in_it(flow: Flow) -> None:
    without_openid = await flow.tokens(scope="items:read")
    without_nonce = await flow.tokens(nonce=None)

    assert "id_token" not in without_openid
    assert "nonce" not in flow.claims(without_nonce["id_token"])


async def test_nothing_but_the_hash_of_a_code_is_stored(flow: Flow) -> None:
    code = await flow.code()

    [row] = flow.parties.sql(
        f"SELECT c.code_hash, c::text AS all FROM authorization_codes c WHERE client_id = '{flow.client.id}'"
    )
    assert row["code_hash"] == hashlib.sha256(code.encode()).digest()
    assert code not in row["all"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
async def test_each_kind_of_client_redeems_its_codes(flow: Flow, method: str) -> None:
    flow = flow.of(flow.parties.app(method=method))
    code = await flow.code()
    if method == "client_secret_basic":
        header = {
            "Authorization": "Basic " + base64.b64encode(f"{flow.client.id}:secret-of-a-client".encode()).decode()
        }
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        answer = await flow.http.post("/oauth2/token", data={**form, "code_verifier": VERIFIER}, headers=header)
    else:
        answer = await flow.redeem(code)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("verifier", ["x" * 42, "x" * 129, VERIFIER + "!", VERIFIER + "\n"], ids=repr)
async def test_a_verifier_that_is_none_is_refused_although_the_challenge_is_its_own(flow: Flow, verifier: str) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    code = await flow.code(code_challenge=challenge)

    assert error_of(await flow.redeem(code, code_verifier=verifier)) == (400, "invalid_grant")


async def test_a_code_used_again_is_refused_and_ends_what_it_gave(flow: Flow) -> None:
    code = await flow.code()
    tokens = (await flow.redeem(code)).json()
    other = await flow.tokens()
    assert (await flow.userinfo(tokens["access_token"])).status_code == 200
    woken = flow.server.wakes.count

    again = await flow.redeem(code)
    once_more = await flow.redeem(code)

    assert error_of(again) == error_of(once_more) == (400, "invalid_grant")
    assert (await flow.userinfo(tokens["access_token"])).status_code == 401
    assert (await flow.userinfo(other["access_token"])).status_code == 200
    assert flow.server.wakes.count == woken + 1
    assert len(flow.parties.events("code_replayed", flow.client)) == 1
    grant_id = flow.claims(tokens["access_token"])["grant_id"]
    assert len(flow.parties.sql(f"SELECT 1 FROM revocations WHERE kind = 'grant' AND target = '{grant_id}'")) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": VERIFIER + "x"},
        {"code_verifier": None},
        {"code_verifier": "short"},
        {"code_verifier": VERIFIER + "\n"},
        {"code_verifier": CHALLENGE},  # as `plain` would have it
        {"redirect_uri": REDIRECT_URI + "/"},
        {"redirect_uri": None},
    ],
)
async def test_a_code_is_good_for_nothing_without_all_that_belongs_to_it_and_waits_for_that(
    flow: Flow, wrong: dict[str, str | None]
) -> None:
    code = await flow.code()

    refused = await flow.redeem(code, **wrong)
    redeemed = await flow.redeem(code)

    assert error_of(refused) == (400, "invalid_grant")
    assert redeemed.status_code == 200


@pytest.mark.parametrize("code", ["guess", "\u2603" * 50, "x" * 100_000])
async def test_what_is_no_code_is_no_grant(flow: Flow, code: str) -> None:
    assert error_of(await flow.redeem(code)) == (400, "invalid_grant")


async def test_a_code_is_of_no_use_to_another_client(flow: Flow) -> None:
    code = await flow.code()

    stolen = await flow.of(flow.parties.app()).redeem(code)
    redeemed = await flow.redeem(code)

    assert error_of(stolen) == (400, "invalid_grant")
    assert redeemed.status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE authorization_codes SET expires_at = clock_timestamp() WHERE user_id = '{}'",
        "UPDATE sessions SET ended_at = now() WHERE user_id = '{}'",
        "UPDATE sessions SET expires_at = now() WHERE user_id = '{}'",
        "UPDATE users SET disabled_at = now() WHERE id = '{}'",
        "DELETE FROM users WHERE id = '{}'",
    ],
)
async def test_a_code_ends_with_its_time_its_session_and_its_user(flow: Flow, change: str) -> None:
    code = await flow.code()
    flow.parties.sql(change.format(flow.person))

    assert error_of(await flow.redeem(code)) == (400, "invalid_grant")


async def test_a_code_lives_for_a_minute_at_most(flow: Flow) -> None:
    await flow.code()

    [row] = flow.parties.sql(
        f"SELECT expires_at - created_at AS lifetime FROM authorization_codes WHERE client_id = '{flow.client.id}'"
    )
    assert 0 < row["lifetime"].total_seconds() < 61


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_challenge": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": "short"},
        {"code_challenge": CHALLENGE + "="},
        {"code_challenge": CHALLENGE + "\n"},
        {"code_challenge": "a" * 128},
    ],
)
@pytest.mark.parametrize("method", ["client_secret_post", "none"])
async def test_pkce_by_sha256_is_asked_of_every_client(flow: Flow, wrong: dict[str, str | None], method: str) -> None:
    answer = await flow.of(flow.parties.app(method=method)).authorize(**wrong)

    assert target(answer) == REDIRECT_URI
    assert said(answer)["error"] == "invalid_request"


async def test_scopes_are_those_that_were_asked_for_and_that_client_and_person_both_have(
    flow: Flow, sign_in: SignIn
) -> None:
    cookie = await sign_in(flow.parties.person("viewer"))  # items:read
    client = flow.parties.app(scopes=["openid", "items:read", "items:write"])
    wanted = "openid profile items:read items:write items:admin nonsense"

    tokens = await replace(flow, cookie=cookie, client=client).tokens(scope=wanted)

    assert tokens["scope"] == "openid items:read"


async def test_who_may_do_none_of_it_gets_invalid_scope(flow: Flow, sign_in: SignIn) -> None:
    nobody = replace(flow, cookie=await sign_in(flow.parties.person()))
    answer = await nobody.authorize(scope="items:write")

    assert said(answer)["error"] == "invalid_scope"


async def test_a_role_lost_between_code_and_token_is_lost_in_the_token(flow: Flow) -> None:
    code = await flow.code()
    flow.parties.sql(f"DELETE FROM user_roles WHERE user_id = '{flow.person}'")

    assert (await flow.redeem(code)).json()["scope"] == "openid"


async def test_who_is_not_signed_in_is_asked_to_and_comes_back_to_the_same_request(flow: Flow) -> None:
    answer = await replace(flow, cookie={}).authorize()
    continue_to = said(answer)["continue"]

    assert target(answer) == "/login"
    assert continue_to.startswith(f"{AUTHORIZE}?")
    after = await flow.http.get(continue_to, headers=flow.cookie)
    assert target(after) == REDIRECT_URI
    assert said(after)["state"] == "the state"


async def test_a_form_is_asked_again_as_a_link(flow: Flow) -> None:
    answer = await flow.http.post(AUTHORIZE, data=request_of(flow.client))
    after = await flow.http.get(answer.headers["location"], headers=flow.cookie)

    assert target(answer) == AUTHORIZE
    assert said(answer) == request_of(flow.client)
    assert "code" in said(after)


async def test_what_happened_is_written_down_once_each_and_holds_no_secret(flow: Flow) -> None:
    code = await flow.code()
    tokens = (await flow.redeem(code)).json()

    [issued] = flow.parties.events("code_issued", flow.client)
    [redeemed] = flow.parties.events("token_issued", flow.client)
    assert issued["subject"] == redeemed["subject"] == str(flow.person)
    assert issued["session_id"] == redeemed["session_id"] is not None
    text = repr([dict(issued), dict(redeemed)])
    assert not [secret for secret in (code, tokens["access_token"], VERIFIER, flow.cookie["Cookie"]) if secret in text]


async def test_when_nothing_can_be_signed_the_code_is_not_spent(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> str:
        raise UnavailableError("Nothing can be signed now")

    code = await flow.code()
    with monkeypatch.context() as patch:
        patch.setattr(KeyRing, "sign", away)
        refused = await flow.redeem(code)

    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    assert (await flow.redeem(code)).status_code == 200

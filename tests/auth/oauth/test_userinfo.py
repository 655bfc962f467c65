"""What a client learns of the person, and when it learns nothing."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import pytest

from tests.auth.oauth.flows import USERINFO, Flow


async def test_userinfo_says_what_the_scopes_allow_and_no_more(flow: Flow) -> None:
    said_of = {}
    for scope in ("openid", "openid profile", "openid email", "openid profile email items:read"):
        tokens = await flow.tokens(scope=scope)
        said_of[scope] = (await flow.userinfo(tokens["access_token"])).json()

    email, sub = f"{flow.person}@slipway.test", str(flow.person)
    updated_at = said_of["openid profile"]["updated_at"]
    assert isinstance(updated_at, int)
    assert said_of == {
        "openid": {"sub": sub},
        "openid profile": {"sub": sub, "name": "Ada", "updated_at": updated_at},
        "openid email": {"sub": sub, "email": email, "email_verified": False},
        "openid profile email items:read": {
            "sub": sub,
            "name": "Ada",
            "updated_at": updated_at,
            "email": email,
            "email_verified": False,
        },
    }


async def test_the_scope_email_says_whether_the_address_was_proven_by_now(flow: Flow) -> None:
    token = (await flow.tokens(scope="openid email"))["access_token"]
    flow.parties.sql(f"UPDATE users SET email_verified_at = now() WHERE id = '{flow.person}'")

    said = (await flow.userinfo(token)).json()
    assert (said["email"], said["email_verified"]) == (f"{flow.person}@slipway.test", True)


async def test_userinfo_takes_a_token_in_the_header_and_nowhere_else(flow: Flow) -> None:
    token = (await flow.tokens())["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}

    right = [await flow.http.get(USERINFO, headers=bearer), await flow.http.post(USERINFO, headers=bearer)]
    wrong = [
        await flow.http.get(USERINFO),
        await flow.http.get(USERINFO, params={"access_token": token}),
        await flow.http.post(USERINFO, data={"access_token": token}),
        await flow.http.get(USERINFO, headers=flow.cookie),
        await flow.http.get(USERINFO, headers=[*bearer.items(), *bearer.items()]),
    ]

    assert [answer.status_code for answer in right] == [200, 200]
    assert {answer.headers["cache-control"] for answer in right} == {"no-store"}
    assert [answer.status_code for answer in wrong] == [401] * 5
    assert {answer.headers["www-authenticate"] for answer in wrong} == {"Bearer"}


async def test_userinfo_refuses_id_tokens_strangers_and_what_is_no_token(flow: Flow) -> None:
    tokens = await flow.tokens()
    good = flow.claims(tokens["access_token"])
    forged = [
        tokens["id_token"],
        flow.server.ring.sign({**good, "aud": flow.client.id}, "at+jwt"),
        flow.server.ring.sign({**good, "iss": "https://elsewhere.test"}, "at+jwt"),
        flow.server.ring.sign({**good, "exp": good["iat"] - 1}, "at+jwt"),
        flow.server.ring.sign(good, "JWT"),
        tokens["access_token"][:-4] + "AAAA",
        "a.b.c",
        "x" * 10_000,
        "\u00ff",
    ]
    answers = [await flow.userinfo(token) for token in forged]

    assert [answer.status_code for answer in answers] == [401] * len(forged)
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Bearer error="invalid_token"'}


async def test_userinfo_is_about_people_who_signed_in_with_openid(flow: Flow) -> None:
    tokens = await flow.tokens(scope="items:read")
    answer = await flow.userinfo(tokens["access_token"])

    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="openid"'


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET disabled_at = now() WHERE id = '{user}'",
        "UPDATE clients SET disabled_at = now() WHERE id = '{client}'",
        "UPDATE sessions SET ended_at = now() WHERE user_id = '{user}'",
        "UPDATE grants SET revoked_at = now() WHERE user_id = '{user}'",
        "INSERT INTO revocations (kind, target) VALUES ('user', '{user}')",
        "INSERT INTO revocations (kind, target) VALUES ('client', '{client}')",
        "INSERT INTO revocations (kind, target) VALUES ('token', '{jti}')",
    ],
)
async def test_userinfo_refuses_a_token_at_once_when_what_it_stands_on_is_gone(flow: Flow, change: str) -> None:
    token = (await flow.tokens())["access_token"]
    before = await flow.userinfo(token)
    flow.parties.sql(change.format(user=flow.person, client=flow.client.id, jti=flow.claims(token)["jti"]))
    after = await flow.userinfo(token)

    assert [before.status_code, after.status_code] == [200, 401]

"""What a client may wish about the sign-in (OpenID Connect Core 3.1.2.1): prompt, max_age, hints, and the rest."""

import time
from dataclasses import replace

import pytest

from tests.auth.oauth.conftest import SignIn
from tests.auth.oauth.flows import AUTHORIZE, Flow, said, target
from tests.auth.oauth.parties import REDIRECT_URI

EARLIER = "UPDATE sessions SET authenticated_at = authenticated_at - interval '100 seconds' WHERE user_id = '{}'"


async def go_on(flow: Flow, continue_to: str) -> dict[str, str]:
    """The sign-in page sends the browser back to where it came from."""
    answer = await flow.http.get(continue_to, headers=flow.cookie)
    return {"to": target(answer), **said(answer)}


async def test_prompt_none_gives_a_code_to_who_is_signed_in_and_an_error_without(flow: Flow) -> None:
    signed_in = said(await flow.authorize(prompt="none"))
    signed_out = said(await replace(flow, cookie={}).authorize(prompt="none"))

    assert "code" in signed_in
    assert signed_out == {"error": "login_required", "state": "the state", "iss": "https://slipway.test"}


@pytest.mark.parametrize("prompt", ["login", "select_account", "login select_account"])
async def test_prompt_login_wants_a_sign_in_that_is_newer_than_the_request(
    flow: Flow, sign_in: SignIn, prompt: str
) -> None:
    flow.parties.sql(EARLIER.format(flow.person))
    before = flow.claims((await flow.tokens())["id_token"])
    answer = await flow.authorize(prompt=prompt)
    continue_to = said(answer)["continue"]

    assert target(answer) == "/login"
    not_yet = await go_on(flow, continue_to)
    assert (not_yet["to"], not_yet["continue"]) == ("/login", continue_to)
    anew = replace(flow, cookie=await sign_in(flow.person))
    after = await go_on(anew, continue_to)
    assert after["to"] == REDIRECT_URI
    identity = flow.claims((await flow.redeem(after["code"])).json()["id_token"])
    assert identity["auth_time"] >= before["auth_time"] + 100
    assert identity["sub"] == before["sub"]


@pytest.mark.parametrize("asked_at", ["1", "9" * 20, "x.y", "", "1.", ".", "<now>.00"])
async def test_nobody_but_the_provider_says_when_a_sign_in_was_asked_for(flow: Flow, asked_at: str) -> None:
    forged = asked_at.replace("<now>", str(time.time_ns() // 1000 - 10**8))

    assert target(await flow.authorize(prompt="login", asked_at=forged)) == "/login"


async def test_an_answered_sign_in_answers_no_other_request_and_none_for_ever(flow: Flow, sign_in: SignIn) -> None:
    continue_to = said(await flow.authorize(prompt="login"))["continue"]
    anew = replace(flow, cookie=await sign_in(flow.person))

    assert (await go_on(anew, continue_to))["to"] == REDIRECT_URI
    assert (await go_on(anew, continue_to + "&claims_locales=en"))["to"] == "/login"
    assert (await go_on(anew, continue_to.replace("the+nonce", "another")))["to"] == "/login"


@pytest.mark.parametrize(("max_age", "to"), [("10000", REDIRECT_URI), ("160", REDIRECT_URI), ("99", "/login")])
async def test_max_age_asks_for_a_sign_in_that_is_no_older(flow: Flow, max_age: str, to: str) -> None:
    flow.parties.sql(EARLIER.format(flow.person))

    assert target(await flow.authorize(max_age=max_age)) == to


@pytest.mark.parametrize("max_age", ["0", "1"])
async def test_max_age_is_content_with_the_sign_in_that_it_led_to(flow: Flow, sign_in: SignIn, max_age: str) -> None:
    flow.parties.sql(EARLIER.format(flow.person))
    answer = await flow.authorize(max_age=max_age)
    assert target(answer) == "/login"
    none = said(await flow.authorize(max_age=max_age, prompt="none"))
    anew = replace(flow, cookie=await sign_in(flow.person))

    after = await go_on(anew, said(answer)["continue"])

    assert none["error"] == "login_required"
    identity = flow.claims((await flow.redeem(after["code"])).json()["id_token"])
    assert abs(identity["auth_time"] - identity["iat"]) <= 60


async def test_a_hint_at_who_is_signed_in_is_content(flow: Flow) -> None:
    hint = (await flow.tokens())["id_token"]
    expired = flow.server.ring.sign({**flow.claims(hint), "exp": 1}, "JWT")

    for good in (hint, expired):
        assert "code" in said(await flow.authorize(id_token_hint=good, prompt="none"))


async def test_a_hint_at_somebody_else_asks_them_to_sign_in(flow: Flow, sign_in: SignIn) -> None:
    hint = (await flow.tokens())["id_token"]
    other = replace(flow, cookie=await sign_in(flow.parties.person("viewer")))
    silently = said(await other.authorize(id_token_hint=hint, prompt="none"))
    answer = await other.authorize(id_token_hint=hint)
    continue_to = said(answer)["continue"]
    wrong = replace(flow, cookie=await sign_in(flow.parties.person("viewer")))
    right = replace(flow, cookie=await sign_in(flow.person))

    assert silently["error"] == "login_required"
    assert target(answer) == "/login"
    assert (await go_on(wrong, continue_to))["error"] == "login_required"
    assert "code" in await go_on(right, continue_to)


async def test_what_is_no_id_token_is_no_hint(flow: Flow) -> None:
    tokens = await flow.tokens()

    for hint in ("x", "a.b.c", tokens["access_token"], tokens["id_token"][:-4] + "AAAA"):
        assert said(await flow.authorize(id_token_hint=hint))["error"] == "invalid_request"


async def test_a_login_hint_reaches_the_sign_in_page(flow: Flow) -> None:
    answer = await replace(flow, cookie={}).authorize(login_hint="ada@slipway.test")

    assert "login_hint=ada%40slipway.test" in said(answer)["continue"]


@pytest.mark.parametrize(
    "wish",
    [
        {"display": "page"},
        {"display": "popup"},
        {"ui_locales": "se no"},
        {"claims_locales": "se"},
        {"acr_values": "1 2"},
        {"claims": '{"userinfo":{"name":{"essential":true}}}'},
        {"extra": "foobar"},
        {"nonce": None},
        {"state": None},
        {"scope": "items:read openid", "response_mode": "query"},
        {"nonce": "n" * 512},
        {"state": '"<script>&=\u2603\n'},
    ],
)
async def test_wishes_that_are_not_fulfilled_or_unknown_harm_nothing(flow: Flow, wish: dict[str, str | None]) -> None:
    answer = said(await flow.authorize(**wish))

    assert "code" in answer
    assert answer.get("state") == wish.get("state", "the state")


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": '"'}, "unsupported_response_type"),
        ({"response_type": "code\n"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://app.example/request"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": '"'}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1.5"}, "invalid_request"),
        ({"max_age": "\u0663"}, "invalid_request"),
        ({"max_age": "9" * 10}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"scope": '"'}, "invalid_scope"),
    ],
)
@pytest.mark.parametrize("signed_in", [True, False])
async def test_what_cannot_be_is_told_to_the_client_in_its_standard_words(
    flow: Flow, wish: dict[str, str | None], error: str, signed_in: bool
) -> None:
    asking = flow if signed_in else replace(flow, cookie={})
    answer = await asking.authorize(**wish)

    assert target(answer) == REDIRECT_URI
    parameters = said(answer)
    assert parameters["error"] == error
    assert parameters.keys() <= {"error", "error_description", "state", "iss"}
    assert (parameters["state"], parameters["iss"]) == ("the state", "https://slipway.test")
    assert not {*parameters.get("error_description", "")} & {*'"\\\r\n\t'}


async def test_a_client_without_the_grant_is_told_so(flow: Flow) -> None:
    answer = await flow.of(flow.parties.app(grants=["client_credentials"])).authorize()

    assert said(answer)["error"] == "unauthorized_client"


@pytest.mark.parametrize("name", ["scope", "state", "nonce", "response_type", "code_challenge", "prompt", "extra"])
async def test_a_parameter_given_twice_is_an_error(flow: Flow, name: str) -> None:
    answer = await flow.authorize(**{name: "x"})
    location = str(answer.request.url) + f"&{name}=y"
    again = await flow.http.get(location, headers=flow.cookie)

    assert (target(again), said(again)["error"]) == (REDIRECT_URI, "invalid_request")
    assert AUTHORIZE in location

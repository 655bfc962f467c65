"""What the OpenID Foundation's conformance suite asks of a basic provider and of its configuration.

Each test is named after the suite's module of that name; its common checks run over every answer. The redirects,
errors, hints and consents have their own files; here is what only shows in a flow from end to end.
"""

import base64
import math
import time
from collections import Counter
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwt

from services.common.exceptions import UnauthenticatedError
from services.common.tokens import TokenVerifier
from tests.auth.conftest import AUDIENCE, ORIGIN
from tests.auth.oauth.flows import AUTHORIZE, VERIFIER, Flow, error_of, request_of, said, target
from tests.auth.oauth.parties import REDIRECT_URI, SECRET

STANDARD_CLAIMS = {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash", "sid"}
OFFLINE = "openid offline_access"


def check_callback(answer: httpx2.Response, state: str | None = "the state") -> str:
    """AbstractOIDCCServerTest: the parameters are those that belong there. Returns the code."""
    assert target(answer) == REDIRECT_URI
    parameters = said(answer)
    expected = {"code", "iss"} | ({"state"} if state is not None else set())
    assert parameters.keys() == expected
    assert (parameters.get("state"), parameters["iss"]) == (state, ORIGIN)
    return parameters["code"]


async def check_tokens(flow: Flow, answer: httpx2.Response, nonce: str | None = "the nonce") -> dict[str, Any]:
    """PerformStandardIdTokenChecks. Returns the answer's body."""
    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert answer.headers["content-type"] == "application/json"
    body = dict(answer.json())
    assert body["token_type"] == "Bearer"
    assert isinstance(body["expires_in"], int)
    assert 0 < body["expires_in"] <= 3600
    published = (await flow.http.get("/.well-known/jwks.json")).json()["keys"]
    header = jwt.decode(body["id_token"], flow.server.keys, algorithms=["RS256"]).header
    assert [key["kid"] for key in published].count(header["kid"]) == 1
    claims = flow.claims(body["id_token"])
    assert claims.keys() == STANDARD_CLAIMS - ({"nonce"} if nonce is None else set())  # no name, no e-mail
    now = time.time()
    assert (claims["iss"], claims["aud"], claims.get("nonce")) == (ORIGIN, flow.client.id, nonce)
    assert claims["auth_time"] <= claims["iat"] <= now + 1 < claims["exp"] <= now + 3600
    assert 0 < len(claims["sub"]) <= 255
    assert claims["sub"].isascii()
    return body


async def whole(flow: Flow, **changes: str | None) -> dict[str, Any]:
    """A flow with all common checks."""
    answer = await flow.authorize(**changes)
    code = check_callback(answer, changes.get("state", "the state"))
    body = await check_tokens(flow, await flow.redeem(code), changes.get("nonce", "the nonce"))
    info = await flow.userinfo(body["access_token"])
    assert (info.status_code, info.json()["sub"]) == (200, str(flow.person))
    return body | {"info": info.json()}


async def test_oidcc_server_and_server_client_secret_post(flow: Flow) -> None:
    await whole(flow)
    by_header = flow.of(flow.parties.app(method="client_secret_basic"))
    code = check_callback(await by_header.authorize())
    header = {"Authorization": "Basic " + base64.b64encode(f"{by_header.client.id}:{SECRET}".encode()).decode()}
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}

    await check_tokens(by_header, await flow.http.post("/oauth2/token", data=form, headers=header))


async def test_oidcc_alternate_happy_flow_with_scopes_and_parameters_in_another_order(flow: Flow) -> None:
    query = urlencode(list(reversed(request_of(flow.client, scope="items:read openid").items())))
    answer = await flow.http.get(f"{AUTHORIZE}?{query}", headers=flow.cookie)

    assert (await check_tokens(flow, await flow.redeem(check_callback(answer))))["scope"] == "items:read openid"


async def test_oidcc_ensure_post_request_succeeds(flow: Flow) -> None:
    posted = await flow.http.post(AUTHORIZE, data=request_of(flow.client))
    answer = await flow.http.get(posted.headers["location"], headers=flow.cookie)

    await check_tokens(flow, await flow.redeem(check_callback(answer)))


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": None},  # ensure-request-without-nonce-succeeds-for-code-flow
        {"state": None},
        {"scope": "openid profile"},  # scope-profile and so on
        {"scope": "openid email"},
        {"scope": "openid address phone"},
        {"scope": "openid profile email address phone"},
        {"display": "page"},
        {"display": "popup"},
        {"prompt": "none"},  # prompt-none-logged-in
        {"max_age": "10000"},
        {"login_hint": "somebody@slipway.test"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"acr_values": "1 2"},
        {"claims": '{"userinfo":{"name":{"essential":true}}}'},  # claims-essential
        {"extra": "foobar"},  # ensure-request-with-unknown-parameter-succeeds
    ],
)
async def test_oidcc_requests_that_must_not_fail(flow: Flow, changes: dict[str, str | None]) -> None:
    await whole(flow, **changes)


async def test_oidcc_id_token_hint_and_prompt_none_give_the_same_subject_without_a_page(flow: Flow) -> None:
    first = await whole(flow)
    second = await whole(flow, id_token_hint=first["id_token"], prompt="none")

    assert flow.claims(first["id_token"])["sub"] == flow.claims(second["id_token"])["sub"]


async def test_oidcc_codereuse_and_codereuse_30seconds(flow: Flow) -> None:
    code = check_callback(await flow.authorize(scope=OFFLINE))
    tokens = await check_tokens(flow, await flow.redeem(code))
    earlier = "created_at - interval '30 seconds'"
    flow.parties.sql(
        f"UPDATE authorization_codes SET created_at = {earlier}, redeemed_at = redeemed_at - interval '30 seconds', "  # noqa: S608
        f"expires_at = expires_at - interval '30 seconds' WHERE client_id = '{flow.client.id}'"
    )

    assert error_of(await flow.redeem(code)) == (400, "invalid_grant")
    assert (await flow.userinfo(tokens["access_token"])).status_code == 401
    assert error_of(await flow.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


async def test_codes_and_refresh_tokens_have_128_bits_and_look_like_it(flow: Flow) -> None:
    for value in (await flow.code(), (await flow.tokens(scope=OFFLINE))["refresh_token"]):
        counts = Counter(value)
        entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values()) * len(value)
        assert len(value) * 6 >= 128
        assert entropy >= 96
        assert set(value) <= {*"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"}


async def test_oidcc_refresh_token(flow: Flow) -> None:
    first = await whole(flow, scope=OFFLINE)
    other = flow.of(flow.parties.app())
    assert error_of(await other.refresh(first["refresh_token"])) == (400, "invalid_grant")
    answer = await flow.refresh(first["refresh_token"])
    second = await check_tokens(flow, answer, nonce=None)

    assert first["access_token"] != second["access_token"]
    before, after = flow.claims(first["id_token"]), flow.claims(second["id_token"])
    assert [before[name] for name in ("iss", "sub", "aud", "auth_time")] == [
        after[name] for name in ("iss", "sub", "aud", "auth_time")
    ]
    assert after["iat"] >= before["iat"]


async def test_oidcc_prompt_none_not_logged_in(flow: Flow) -> None:
    answer = said(await replace(flow, cookie={}).authorize(prompt="none"))

    assert answer["error"] in {"login_required", "interaction_required"}


async def test_the_services_believe_access_tokens_and_nothing_else(flow: Flow) -> None:
    tokens = await flow.tokens(scope=OFFLINE)
    verifier = TokenVerifier(flow.server.ring, issuer=ORIGIN, audience=AUDIENCE)
    principal = await verifier.verify(tokens["access_token"])

    claims = flow.claims(tokens["access_token"])
    assert (principal.subject, principal.client_id) == (str(flow.person), flow.client.id)
    assert (principal.session_id, principal.grant_id) == (claims["sid"], claims["grant_id"])
    assert principal.scopes == {*OFFLINE.split()}
    for other in (tokens["id_token"], tokens["refresh_token"], await flow.code()):
        with pytest.raises(UnauthenticatedError):
            await verifier.verify(other)


async def test_oidcc_discovery_endpoint_verification(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/.well-known/openid-configuration")
    document = answer.json()

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert document["issuer"] == ORIGIN
    addresses = [value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))]
    assert all(urlsplit(address).scheme == "https" for address in addresses)
    for name in ("response_types", "grant_types", "subject_types", "id_token_signing_alg_values", "scopes"):
        assert isinstance(document[f"{name}_supported"], list), name
    assert "openid" in document["scopes_supported"]
    assert {"public"} == {*document["subject_types_supported"]}
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert isinstance(document["code_challenge_methods_supported"], list)
    for name in ("claims_parameter", "request_parameter", "request_uri_parameter"):
        assert document[f"{name}_supported"] is False, name  # the standard's default for the last is true
    assert {"iss", "sub", "auth_time"} <= {*document["claims_supported"]}
    assert dict(parse_qsl(urlsplit(document["issuer"]).query)) == {}

"""Clients that ask for themselves (RFC 6749 4.4), over HTTP."""

import base64
from typing import Any
from uuid import UUID

import httpx2
import pytest
from joserfc import jwt

from tests.auth.conftest import AUDIENCE, ORIGIN
from tests.auth.oauth.app import OAuthApp
from tests.auth.oauth.parties import SECRET, App, Parties

TOKEN = "/oauth2/token"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def machine(parties: Parties) -> App:
    return parties.app(grants=["client_credentials"], scopes=["items:read", "items:write", "openid"])


async def ask(http: httpx2.AsyncClient, app: App, **form: str) -> httpx2.Response:
    return await http.post(TOKEN, data={"grant_type": "client_credentials", **app.authentication(), **form})


def basic(app: App, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{app.id}:{secret}'.encode()).decode()}"}


def claims(app: OAuthApp, token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, app.keys, algorithms=["RS256"]).claims)


async def test_a_machine_gets_a_token_of_rfc_9068_with_all_its_scopes(
    http: httpx2.AsyncClient, app: OAuthApp, machine: App
) -> None:
    answer = await ask(http, machine)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert {**body, "access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "items:read items:write",
    }
    token = jwt.decode(body["access_token"], app.keys, algorithms=["RS256"])
    assert token.header == {"alg": "RS256", "typ": "at+jwt", "kid": app.kid}
    said = dict(token.claims)
    assert UUID(said.pop("jti")).version == 7
    assert said.pop("exp") - said.pop("iat") == 300
    assert said == {
        "iss": ORIGIN,
        "aud": AUDIENCE,
        "sub": machine.id,
        "client_id": machine.id,
        "scope": "items:read items:write",
        "roles": [],
    }


async def test_a_machine_may_ask_for_less_and_not_for_more(http: httpx2.AsyncClient, machine: App) -> None:
    less = await ask(http, machine, scope="items:read")
    more = await ask(http, machine, scope="items:read items:admin")
    a_persons = await ask(http, machine, scope="openid")

    assert less.json()["scope"] == "items:read"
    assert [(answer.status_code, answer.json()["error"]) for answer in (more, a_persons)] == [
        (400, "invalid_scope")
    ] * 2


async def test_a_machine_without_scopes_of_its_own_gets_no_token_without_scopes(
    http: httpx2.AsyncClient, parties: Parties
) -> None:
    answer = await ask(http, parties.app(grants=["client_credentials"], scopes=["openid"]))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_only_clients_with_this_grant_get_a_token(http: httpx2.AsyncClient, parties: Parties) -> None:
    answer = await ask(http, parties.app(grants=["authorization_code"]))

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_a_client_without_a_secret_is_nobody_to_issue_tokens_to(
    http: httpx2.AsyncClient, parties: Parties
) -> None:
    answer = await ask(http, parties.app(method="none", grants=["client_credentials"]))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_the_secret_may_stand_in_the_header_or_in_the_form_as_registered_and_not_otherwise(
    http: httpx2.AsyncClient, parties: Parties
) -> None:
    by_header = parties.app(method="client_secret_basic", grants=["client_credentials"])
    by_form = parties.app(method="client_secret_post", grants=["client_credentials"])
    form = {"grant_type": "client_credentials"}

    right = [await http.post(TOKEN, data=form, headers=basic(by_header)), await ask(http, by_form)]
    wrong = [await http.post(TOKEN, data=form, headers=basic(by_form)), await ask(http, by_header)]

    assert [answer.status_code for answer in right] == [200, 200]
    assert [answer.status_code for answer in wrong] == [401, 401]


async def test_an_unknown_client_a_wrong_secret_a_wrong_method_and_a_disabled_client_are_answered_alike(
    http: httpx2.AsyncClient, parties: Parties
) -> None:
    by_header, by_form, disabled = (
        parties.app(method=method, grants=["client_credentials"])
        for method in ("client_secret_basic", "client_secret_post", "client_secret_post")
    )
    parties.disable(disabled)
    form = {"grant_type": "client_credentials"}
    answers = [
        await http.post(TOKEN, data=form, headers=basic(App("nobody"))),
        await http.post(TOKEN, data=form, headers=basic(by_header, "wrong")),
        await http.post(TOKEN, data=form, headers=basic(by_form)),
        await http.post(TOKEN, data=form, headers={"Authorization": "Basic /w=="}),  # not UTF-8
        await http.post(TOKEN, data=form, headers={"Authorization": "Basic !"}),
        await http.post(TOKEN, data=form, headers={"Authorization": "Bearer abc"}),
        await http.post(TOKEN, data=form),
        await http.post(TOKEN, data={**form, "client_id": by_form.id}),
        await http.post(TOKEN, data={**form, "client_id": by_form.id, "client_secret": "wrong"}),
        await http.post(TOKEN, data={**form, "client_id": "nobody", "client_secret": SECRET}),
        await http.post(TOKEN, data={**form, "client_id": "\x01" * 200, "client_secret": SECRET}),
        await ask(http, disabled),
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert {answer.text for answer in answers} == {
        '{"error":"invalid_client","error_description":"Client authentication failed"}'
    }
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Basic realm="slipway", charset="UTF-8"'}
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_a_refused_client_is_written_down_once_and_without_its_secret(
    http: httpx2.AsyncClient, parties: Parties, machine: App
) -> None:
    await http.post(
        TOKEN, data={"grant_type": "client_credentials", "client_id": machine.id, "client_secret": "guessed"}
    )

    [entry] = parties.events("client_refused", machine)
    assert dict(entry)["address"] == "127.0.0.1"
    assert "guessed" not in repr(dict(entry))


async def test_each_token_is_written_down_once_with_its_id(
    http: httpx2.AsyncClient, app: OAuthApp, parties: Parties, machine: App
) -> None:
    token = (await ask(http, machine, scope="items:read")).json()["access_token"]

    [entry] = parties.events("token_issued", machine)
    assert entry["actor"] == entry["subject"] == machine.id
    assert entry["details"] == f'{{"scope": "items:read", "token_id": "{claims(app, token)["jti"]}"}}'


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "invalid_request"),
        (b"grant_type=", "invalid_request"),
        (b"grant_type=password", "unsupported_grant_type"),
        (b"grant_type=%22", "unsupported_grant_type"),
        (b"grant_type=implicit%0a", "unsupported_grant_type"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        (b"grant_type=client_credentials&scope=%22", "invalid_scope"),
        (b"grant_type=client_credentials&scope=%ff", "invalid_request"),
        (b"grant_type=client_credentials&scope=%00", "invalid_request"),
        (b"grant_type=client_credentials&scope=\xff", "invalid_request"),
        (b"&".join(b"a%d=" % number for number in range(51)), "invalid_request"),
        (b"grant_type", "invalid_request"),
    ],
)
async def test_a_malformed_form_gets_its_standard_error(
    http: httpx2.AsyncClient, parties: Parties, body: bytes, error: str
) -> None:
    app = parties.app(method="client_secret_basic", grants=["client_credentials"])
    answer = await http.post(TOKEN, content=body, headers={"Content-Type": FORM, **basic(app)})

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_what_is_no_form_is_not_read(http: httpx2.AsyncClient, media_type: str) -> None:
    answer = await http.post(TOKEN, content=b"grant_type=client_credentials", headers={"Content-Type": media_type})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_parameters_in_the_query_are_not_looked_at(http: httpx2.AsyncClient, machine: App) -> None:
    query = {"grant_type": "client_credentials", "client_id": machine.id, "client_secret": SECRET}
    answer = await http.post(TOKEN, params=query, content=b"", headers={"Content-Type": FORM})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_client_that_names_itself_in_two_ways_is_refused(http: httpx2.AsyncClient, parties: Parties) -> None:
    app = parties.app(method="client_secret_basic", grants=["client_credentials"])
    form = {"grant_type": "client_credentials"}
    answers = [
        await http.post(TOKEN, data={**form, **app.authentication()}, headers=basic(app)),
        await http.post(TOKEN, data={**form, "client_id": "another"}, headers=basic(app)),
        await http.post(TOKEN, data=form, headers=[*basic(app).items(), *basic(app).items()]),
    ]
    named_twice = await http.post(TOKEN, data={**form, "client_id": app.id}, headers=basic(app))

    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(400, "invalid_request")] * 3
    assert named_twice.status_code == 200


async def test_other_methods_are_not_allowed(http: httpx2.AsyncClient) -> None:
    answer = await http.get(TOKEN)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_disabled_client_gets_no_token_even_when_it_was_known_a_moment_ago(
    http: httpx2.AsyncClient, parties: Parties, machine: App
) -> None:
    first = await ask(http, machine)
    parties.disable(machine)
    second = await ask(http, machine)

    assert [first.status_code, second.status_code] == [200, 401]


async def test_tokens_are_counted_by_grant_when_they_are_issued(
    http: httpx2.AsyncClient, app: OAuthApp, machine: App
) -> None:
    def issued(grant: str = "client_credentials") -> float:
        return app.asgi.state.registry.get_sample_value("auth_tokens_issued_total", {"grant": grant}) or 0

    before = issued()
    await ask(http, machine)
    await http.post(TOKEN, data={"grant_type": "client_credentials"}, headers=basic(machine, "wrong"))
    await http.post(TOKEN, data={"grant_type": "invented"}, headers=basic(machine))

    assert issued() == before + 1
    assert issued("invented") == issued("other") == 0

"""What is said about the provider, and whether it is so."""

import httpx2
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata  # type: ignore[import-untyped]
from authlib.oidc.discovery import OpenIDProviderMetadata  # type: ignore[import-untyped]

from services.auth.scopes import SCOPES
from tests.auth.conftest import ORIGIN

OPENID, OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"


async def test_both_documents_are_one_and_valid_by_their_standards(http: httpx2.AsyncClient) -> None:
    answers = [await http.get(path) for path in (OPENID, OAUTH)]

    assert [answer.status_code for answer in answers] == [200, 200]
    first, second = (answer.json() for answer in answers)
    assert first == second
    assert first["issuer"] == ORIGIN
    AuthorizationServerMetadata(first).validate()
    OpenIDProviderMetadata(first).validate()


async def test_every_address_is_below_the_issuer(http: httpx2.AsyncClient) -> None:
    document = (await http.get(OPENID)).json()

    addresses = [value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(addresses) == 7
    assert all(address.startswith(f"{ORIGIN}/") for address in addresses)


async def test_every_endpoint_that_is_named_is_there(http: httpx2.AsyncClient) -> None:
    document = (await http.get(OPENID)).json()

    named = {value.removeprefix(ORIGIN) for name, value in document.items() if name.endswith("_endpoint")}
    answers = {path: (await http.get(path)).status_code for path in named}
    assert len(answers) == 6
    assert 404 not in answers.values(), answers


async def test_only_what_oauth_2_1_allows_is_on_offer(http: httpx2.AsyncClient) -> None:
    document = (await http.get(OPENID)).json()

    assert document["response_types_supported"] == ["code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]
    assert not {"implicit", "password"} & {*document["grant_types_supported"]}
    assert document["scopes_supported"] == list(SCOPES)
    assert document["authorization_response_iss_parameter_supported"] is True


async def test_the_paths_are_described_once_each(http: httpx2.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()

    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len({*ids}) == len(ids)
    assert {"/oauth2/authorize", "/oauth2/token", "/oauth2/userinfo"} <= document["paths"].keys()

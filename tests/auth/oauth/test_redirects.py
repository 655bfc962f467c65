"""Where a browser may be sent: to registered addresses, to the last character, and for all else there is a page."""

from urllib.parse import urlencode

import pytest

from services.auth.oauth.authorization import parameters_of
from services.auth.oauth.exceptions import OAuthPageError
from tests.auth.oauth.flows import AUTHORIZE, Flow, request_of, said, target
from tests.auth.oauth.parties import REDIRECT_URI

LOOPBACK = "http://127.0.0.1/callback?from=app"
NATIVE = "com.example.app:/callback"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "",
        REDIRECT_URI + "/",
        REDIRECT_URI + "?x=y",
        REDIRECT_URI + "#x",
        REDIRECT_URI + "\n",
        REDIRECT_URI.upper(),
        REDIRECT_URI.replace("https", "http"),
        REDIRECT_URI.replace("app.example", "app.example:443"),
        REDIRECT_URI.replace("app.example", "app.example.evil.example"),
        REDIRECT_URI.replace("app.example", "app.example@evil.example"),
        "https://app.example/%63allback",
        "https://app.example/a/../callback",
        "//app.example/callback",
        "javascript:alert(1)",
        '"',
    ],
)
@pytest.mark.parametrize("signed_in", [True, False])
async def test_an_address_that_is_not_registered_gets_a_page_and_never_a_redirect(
    flow: Flow, redirect_uri: str | None, signed_in: bool
) -> None:
    query = request_of(flow.client, redirect_uri=redirect_uri)
    answer = await flow.http.get(AUTHORIZE, params=query, headers=flow.cookie if signed_in else {})

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert redirect_uri is None or redirect_uri in ("", '"') or redirect_uri not in answer.text


@pytest.mark.parametrize("client_id", [None, "", "nobody", '"', "\0", "x" * 101, "\u2603"])
async def test_an_unknown_client_gets_a_page_and_never_a_redirect(flow: Flow, client_id: str | None) -> None:
    answer = await flow.authorize(client_id=client_id)

    assert (answer.status_code, "location" in answer.headers) == (400, False)


async def test_a_disabled_client_gets_a_page(flow: Flow) -> None:
    flow.parties.disable(flow.client)

    assert (await flow.authorize()).status_code == 400


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_a_client_or_an_address_given_twice_gets_a_page(flow: Flow, name: str) -> None:
    query = request_of(flow.client)
    answer = await flow.http.get(f"{AUTHORIZE}?{urlencode([*query.items(), (name, query[name])])}", headers=flow.cookie)

    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["client_id=%ff", "client_id=\xff", "&".join("a=b" for _ in range(51)), "a=%00"])
async def test_a_query_that_cannot_be_read_gets_a_page(flow: Flow, query: str) -> None:
    answer = await flow.http.get(f"{AUTHORIZE}?{query}", headers=flow.cookie)

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"{}", "application/json"),
        (b"a=%ff", "application/x-www-form-urlencoded"),
        (b"a=" + b"x" * 5000, "application/x-www-form-urlencoded"),
    ],
)
async def test_a_form_that_cannot_be_read_gets_a_page(flow: Flow, body: bytes, media_type: str) -> None:
    answer = await flow.http.post(AUTHORIZE, content=body, headers={"Content-Type": media_type})

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("registered", "given", "good"),
    [
        (LOOPBACK, LOOPBACK, True),
        (LOOPBACK, "http://127.0.0.1:49152/callback?from=app", True),
        (LOOPBACK, "http://127.0.0.1:65536/callback?from=app", False),
        (LOOPBACK, "http://127.0.0.1:0/callback?from=app", False),
        (LOOPBACK, "http://127.0.0.1:/callback?from=app", False),
        (LOOPBACK, "http://127.0.0.1:49152/callback", False),
        (LOOPBACK, "http://127.0.0.1:49152@evil.example/callback?from=app", False),
        (LOOPBACK, "http://127.0.0.1:49152.evil.example/callback?from=app", False),
        (LOOPBACK, "http://127.0.0.2:49152/callback?from=app", False),
        (LOOPBACK, "https://127.0.0.1:49152/callback?from=app", False),
        ("http://127.0.0.1:8000/callback", "http://127.0.0.1:49152/callback", True),
        ("http://[::1]/callback", "http://[::1]:49152/callback", True),
        ("http://[::1]/callback", "http://::1:49152/callback", False),
        ("http://localhost/callback", "http://localhost:49152/callback", False),
        ("https://127.0.0.1/callback", "https://127.0.0.1:49152/callback", False),
        ("https://127.0.0.1/callback", "http://127.0.0.1https://127.0.0.1/callback", False),
        ("https://app.example:8443/callback", "https://app.example:8444/callback", False),
        (NATIVE, NATIVE, True),
        (NATIVE, "com.example.app:/callback2", False),
    ],
)
async def test_only_the_port_of_a_loopback_address_is_free(flow: Flow, registered: str, given: str, good: bool) -> None:
    answer = await flow.of(flow.parties.app(redirect_uris=[registered])).authorize(redirect_uri=given)

    assert answer.status_code == (303 if good else 400)
    assert not good or answer.headers["location"].startswith(given + ("&" if "?" in given else "?") + "code=")


async def test_the_port_that_the_code_was_sent_to_is_the_one_to_redeem_it_with(flow: Flow) -> None:
    native = flow.of(flow.parties.app(method="none", redirect_uris=[LOOPBACK]))
    used = LOOPBACK.replace("127.0.0.1", "127.0.0.1:49152")
    code = await native.code(redirect_uri=used)

    assert (await native.redeem(code, redirect_uri=LOOPBACK)).status_code == 400
    assert (await native.redeem(code, redirect_uri=used)).status_code == 200


async def test_a_path_of_ours_is_all_that_a_sign_in_goes_on_to(flow: Flow) -> None:
    good = f"{AUTHORIZE}?{urlencode(request_of(flow.client))}"

    assert parameters_of(good).values == request_of(flow.client)
    for bad in (
        "https://evil.example" + good,
        "//evil.example" + good,
        "/\\evil.example",
        "/oauth2/token?x=y",
        "/oauth2/authorize/../logout",
        "",
        good + "&a=%ff",
        "http://[",
    ):
        with pytest.raises(OAuthPageError):
            parameters_of(bad)


async def test_an_error_goes_back_with_a_see_other_and_is_not_kept(flow: Flow) -> None:
    answer = await flow.authorize(response_type="token")

    assert (answer.status_code, target(answer)) == (303, REDIRECT_URI)
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers
    assert "code" not in said(answer)

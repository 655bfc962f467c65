"""Where a sign-in may lead to."""

import pytest

from services.auth.pages.continuing import MOST, continued, is_too_long, source

REQUEST = "/oauth2/authorize?client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback"


@pytest.mark.parametrize("wanted", ["/account", REQUEST, "/oauth2/authorize?"])
def test_our_own_pages_are_gone_on_to(wanted: str) -> None:
    assert continued(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        "",
        "/",
        "/accounts",
        "/account?x=1",
        "/account/password",
        "//evil.test/oauth2/authorize?",
        "https://evil.test/oauth2/authorize?",
        "/oauth2/authorize",
        "/oauth2/authorizes?",
        "/oauth2/authorize/?x",
        "/oauth2/authorize\\?x",
        "/oauth2/authorize?x=\\evil",
        "/oauth2/authorize?x=\r\nSet-Cookie: a=b",
        "/oauth2/authorize?x=\n",
        "/oauth2/authorize?x=é",
        "/oauth2/authorize?x= ",
        " /oauth2/authorize?x",
        "/oauth2/../oauth2/authorize?x",
        "javascript:alert(1)",
        f"{REQUEST}&state={'x' * MOST}",
    ],
)
def test_nothing_else_is(wanted: str | None) -> None:
    assert continued(wanted) == "/account"


def test_what_would_be_lost_on_the_way_is_told_before() -> None:
    assert is_too_long("x" * (MOST + 1))
    assert not is_too_long("x" * MOST)
    assert not is_too_long(None)


@pytest.mark.parametrize(
    ("redirect_uri", "allowed"),
    [
        ("https://app.example/callback", "https://app.example"),
        ("https://app.example:8443/callback?x=1", "https://app.example:8443"),
        ("https://App.Example/", "https://app.example"),
        ("http://127.0.0.1:49152/", "http://127.0.0.1:49152"),
        ("http://127.0.0.1/", "http://127.0.0.1"),
        ("http://[::1]:49152/callback", "http:"),
        ("com.example.app:/callback", "com.example.app:"),
        ("https://user:secret@app.example/", "https://app.example"),
        ("https://app.example;script-src 'unsafe-inline'/", "https:"),
        ("https://app.example,evil/", "https:"),
        ("https://*.example/", "https:"),
        ("https://é.example/", "https:"),
        ("no-scheme", None),
        ("x y:/", None),
    ],
)
def test_a_redirect_uri_becomes_a_source_and_nothing_more(redirect_uri: str, allowed: str | None) -> None:
    assert source(redirect_uri) == allowed

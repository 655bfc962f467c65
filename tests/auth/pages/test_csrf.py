"""Which forms are ours."""

import base64

import pytest

from services.auth.pages.csrf import Csrf, is_foreign, origin_of

KEY, BINDING = "k" * 64, "a browser's cookie"


def test_a_token_is_good_for_its_own_binding_alone() -> None:
    csrf = Csrf(KEY)
    token = csrf.make(BINDING)

    assert csrf.check(token, BINDING)
    assert not csrf.check(token, "another browser's")
    assert not csrf.check(token, "")
    assert not Csrf("l" * 64).check(token, BINDING)


def test_a_token_is_another_one_each_time() -> None:
    csrf = Csrf(KEY)
    tokens = [csrf.make(BINDING) for _ in range(100)]

    assert len({token[:8] for token in tokens}) == 100
    assert all(csrf.check(token, BINDING) for token in tokens)


def test_no_bit_of_a_token_can_be_changed() -> None:
    csrf = Csrf(KEY)
    raw = base64.urlsafe_b64decode(csrf.make(BINDING))
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert not csrf.check(base64.urlsafe_b64encode(changed).decode(), BINDING)


@pytest.mark.parametrize("token", ["", "a", "é", "????", "=" * 9, "A" * 64, "\ud800", "A" * 100_000])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert not Csrf(KEY).check(token, BINDING)


def test_nobodys_token_is_nobodys() -> None:
    csrf = Csrf(KEY)

    assert not csrf.check(csrf.make(""), "")


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": "https://slipway.test"}, False),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"origin": "https://slipway.test", "sec-fetch-site": "same-origin"}, False),
        ({"origin": "null"}, True),
        ({"origin": "https://evil.test"}, True),
        ({"origin": "http://slipway.test"}, True),
        ({"origin": "https://slipway.test:8443"}, True),
        ({"origin": "https://slipway.test.evil.test"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"origin": "https://slipway.test", "sec-fetch-site": "cross-site"}, True),
    ],
)
def test_a_browser_that_names_another_site_is_believed(headers: dict[str, str], foreign: bool) -> None:
    assert is_foreign(headers, "https://slipway.test") is foreign


@pytest.mark.parametrize(
    ("issuer", "origin"),
    [
        ("https://slipway.test", "https://slipway.test"),
        ("https://Slipway.test:443/auth/", "https://slipway.test"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(issuer: str, origin: str) -> None:
    assert origin_of(issuer) == origin

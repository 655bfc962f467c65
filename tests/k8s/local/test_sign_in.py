"""`make token`: what is asked of the browser, what is taken from it, and what is refused."""

import base64
import hashlib
import json
import threading
import urllib.request
from collections.abc import Mapping
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from k8s.local import edge, paths, sign_in
from k8s.local.errors import LocalError

ISSUER = {"iss": paths.ORIGIN}


class Auth:
    """The endpoints of auth, and what they were asked."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.status = 200

    def send(self, path: str, *, form: Mapping[str, str] | None = None, basic: str = "") -> tuple[int, bytes]:
        assert (path, basic) == ("/oauth2/token", "")
        self.forms.append(dict(form or {}))
        return self.status, json.dumps({"access_token": "the-token"}).encode()


class Browser:
    """Comes back to the application as soon as it is sent away, with each of these answers."""

    def __init__(self, *answers: dict[str, str]) -> None:
        self.answers = answers
        self.asked: dict[str, str] = {}
        self.statuses: list[int] = []

    def open(self, address: str) -> None:
        assert address.startswith(f"{paths.ORIGIN}/oauth2/authorize?")
        self.asked = dict(parse_qsl(urlsplit(address).query))
        threading.Thread(target=self._come_back, daemon=True).start()

    def _come_back(self) -> None:
        for answer in self.answers:
            query = urlencode({"state": self.asked["state"]} | answer)
            try:
                with urllib.request.urlopen(f"{self.asked['redirect_uri']}?{query}", timeout=30) as page:  # noqa: S310
                    self.statuses.append(page.status)
            except HTTPError as error:
                self.statuses.append(error.code)
                error.close()


@pytest.fixture
def auth(monkeypatch: pytest.MonkeyPatch) -> Auth:
    made = Auth()
    monkeypatch.setattr(edge, "send", made.send)
    return made


def test_the_code_is_redeemed_with_the_verifier_of_its_challenge(auth: Auth) -> None:
    browser = Browser(ISSUER | {"code": "the-code"})

    assert sign_in.token(browser.open, 10) == "the-token"

    [form] = auth.forms
    assert form["code"] == "the-code"
    assert form["redirect_uri"] == browser.asked["redirect_uri"]
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert browser.asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert browser.asked["code_challenge_method"] == "S256"
    assert form["code_verifier"] not in str(browser.asked)
    assert browser.asked["redirect_uri"].startswith("http://127.0.0.1:")


def test_what_does_not_carry_our_state_is_refused_and_waited_past(auth: Auth) -> None:
    browser = Browser(
        ISSUER | {"code": "of-somebody", "state": "theirs"},
        ISSUER | {"code": "of-nobody", "state": ""},
        ISSUER | {"code": "ours"},
    )

    sign_in.token(browser.open, 10)

    assert [form["code"] for form in auth.forms] == ["ours"]
    assert browser.statuses[:2] == [400, 400]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (ISSUER | {"error": "access_denied"}, "no token: access_denied"),
        (ISSUER, "no code came back"),
        ({"code": "x", "iss": "https://evil.test"}, "not https://slipway"),
        ({"code": "x"}, "not https://slipway"),
    ],
)
def test_an_answer_without_a_code_of_ours_is_a_sentence(auth: Auth, answer: dict[str, str], sentence: str) -> None:
    with pytest.raises(LocalError, match=sentence):
        sign_in.token(Browser(answer).open, 10)

    assert auth.forms == []


def test_a_code_that_auth_does_not_take_is_a_sentence(auth: Auth) -> None:
    auth.status = 400

    with pytest.raises(LocalError, match="answers 400 to the code"):
        sign_in.token(Browser(ISSUER | {"code": "old"}).open, 10)


def test_nobody_is_waited_for_for_ever(auth: Auth) -> None:
    with pytest.raises(LocalError, match="Nobody signed in"):
        sign_in.token(lambda _: None, 0.2)

    assert auth.forms == []

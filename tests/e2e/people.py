"""People with browsers, as far as HTTP goes, and the applications that act for them: through the edge, at its pace.

The gateway lets one address try so many sign-ins and tokens a minute, and all tests come from one: nothing here repeats
faster than TOKEN_PAUSE_SECONDS.
"""

import base64
import hashlib
import secrets
import weakref
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.auth.pages.tabs import Page
from tests.e2e import edge
from tests.e2e.releases import Release

CALLBACK = "https://app.example/callback"
SCOPES = "openid email offline_access items:read items:write users:self"
TOKEN_PAUSE_SECONDS = 0.7  # two a second are let through (services/gateway/quotas.py)
REDIRECTS = 6


class Browser:
    """Keeps cookies, follows redirects of the platform's own; `page` is what it shows."""

    page: Page

    def __init__(self, host: str) -> None:
        self.http = edge.client(host)
        weakref.finalize(self, self.http.close)

    def go(self, path: str) -> Page:
        """A link, to the page that it ends at."""
        return self._follow(self.http.get(path))

    def send(self, action: str, **typed: str) -> Page:
        """The form of the page that goes to `action`, filled in, to where it ends."""
        fields = self.page.form(action).values | typed
        return self._follow(self.http.post(action, data=fields))

    def _follow(self, answer: httpx2.Response) -> Page:
        for _ in range(REDIRECTS):
            location = answer.headers.get("location", "")
            if answer.status_code != 303 or not location.startswith("/"):
                break
            answer = self.http.get(location)
        self.page = Page(answer)
        return self.page


@dataclass
class Person:
    """Somebody with an account and a browser."""

    release: Release
    email: str
    password: str = field(repr=False)
    browser: Browser

    def sign_in(self, password: str | None = None) -> Page:
        """By the form, to where it leads."""
        self.browser.go("/login")
        return self.browser.send("/login", email=self.email, password=password or self.password)

    def grant(self, app: str) -> "Family":
        """Let an application act for them, in the session of their browser."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": app,
            "redirect_uri": CALLBACK,
            "scope": SCOPES,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        answer = self.browser.http.get("/oauth2/authorize", params=asked)
        assert answer.headers.get("location", "").startswith(CALLBACK), f"{answer.status_code} {answer.text[:300]}"
        [code] = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
        family = Family(edge.client(self.release.host), app)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier}
        redeemed = family.ask(form)
        assert redeemed.status_code == 200, redeemed.text
        return family


@dataclass
class Family:
    """Tokens that come from one grant."""

    http: httpx2.Client
    app: str
    access: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        weakref.finalize(self, self.http.close)

    def ask(self, form: dict[str, str]) -> httpx2.Response:
        """The token endpoint; what it gives is kept."""
        answer = self.http.post("/oauth2/token", data={"client_id": self.app, **form})
        if answer.status_code == 200:
            self.access, self.refresh_token = answer.json()["access_token"], answer.json()["refresh_token"]
        return answer

    def refresh(self, token: str | None = None) -> httpx2.Response:
        """Redeem this refresh token, or the one that is held."""
        return self.ask({"grant_type": "refresh_token", "refresh_token": token or self.refresh_token})

    def use(self) -> httpx2.Response:
        """List items."""
        return self.http.get("/v1/items", headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}


def make_app(release: Release) -> str:
    """An application of ours without a secret, such as one on a phone; its id."""
    name = f"app-{secrets.token_hex(4)}"
    words = ("--public", "--first-party", "--redirect-uri", CALLBACK, "--scopes", SCOPES)
    release.operate(
        "clients", "create", "App", "--id", name, *words, "--grant-types", "authorization_code,refresh_token"
    )
    return name


def make_person(release: Release, *roles: str) -> Person:
    """Somebody whom an operator has made, who has chosen a password of their own and is signed in."""
    email, password = f"{secrets.token_hex(6)}@slipway.test", secrets.token_urlsafe(12)
    given: list[str] = [word for role in roles for word in ("--role", role)]
    printed = release.operate("users", "create", email, "Ada Lovelace", *given)
    one_time = printed.split("one-time password: ")[1].splitlines()[0]
    person = Person(release, email, password, Browser(release.host))
    person.sign_in(one_time)
    page = person.browser.send("/login/new-password", new_password=password)
    assert email in page.text, page.text
    return person


def events(release: Release, event: str, **about: Any) -> list[str]:
    """The lines of the audit log about an event that name all of these."""
    lines = release.operate("audit", "list", "--event", event).splitlines()
    return [line for line in lines if all(str(value) in line for value in about.values())]

"""What every page says to the browser, and to which other place a form may lead."""

from urllib.parse import urlencode

import pytest

from tests.auth.oauth.flows import request_of
from tests.auth.oauth.parties import REDIRECT_URI, App, Parties
from tests.auth.pages.conftest import MakePerson
from tests.auth.pages.people import PASSWORD, Person, sign_in, turn_on_second_factor
from tests.auth.pages.tabs import Page, Tab

PUBLIC = ["/login", "/login/sign-up", "/login/reset", "/logout", "/login/nowhere"]
OWN = ["/account", "/account/password", "/account/second-factor", "/account/recovery-codes", "/logout"]


def policy(page: Page) -> dict[str, str]:
    """The Content-Security-Policy by directives."""
    parts = [part.strip().partition(" ") for part in page.headers["content-security-policy"].split(";")]
    return {name: value for name, _, value in parts}


def ask(app: App, redirect_uri: str = REDIRECT_URI, **more: str) -> str:
    """The address that a sign-in goes on to."""
    return f"/oauth2/authorize?{urlencode(request_of(app, redirect_uri=redirect_uri, **more))}"


def login(goal: str) -> str:
    return f"/login?{urlencode({'continue': goal})}"


def check(page: Page) -> None:
    assert policy(page) == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"
    assert not {"script", "style", "iframe", "object", "embed", "base"} & {*page.tags}
    assert not any("style" in given for given in page.elements())
    icon = page.element("link", rel="icon")
    assert icon["href"].startswith("/login/static/mark.svg?v=")


@pytest.mark.parametrize("path", PUBLIC)
async def test_pages_before_a_sign_in_are_strict(tab: Tab, path: str) -> None:
    check(await tab.go(path))


async def test_pages_after_a_sign_in_are_strict(tab: Tab, ada: Person) -> None:
    await sign_in(tab, ada)

    for path in OWN:
        page = await tab.go(path)
        assert page.status == 200
        check(page)


async def test_the_pages_of_a_sign_in_let_forms_end_at_the_client(
    tab: Tab, make_person: MakePerson, parties: Parties, ada: Person
) -> None:
    goal = ask(parties.app(first_party=False))
    allowed = "'self' https://app.example"
    await sign_in(tab, ada)
    await turn_on_second_factor(tab, ada)

    assert policy(await tab.go(login(goal)))["form-action"] == allowed
    page = await tab.send("/login", email=ada.email, password=PASSWORD)
    assert page.has_form("/login/second-factor")
    assert policy(page)["form-action"] == allowed
    page = await tab.send("/login/second-factor", code="000000")
    assert (page.status, policy(page)["form-action"]) == (422, allowed)
    page = await tab.send("/login/second-factor", code=ada.otp())
    assert page.has_form("/login/consent")
    assert policy(page)["form-action"] == allowed

    page = await sign_in(tab, make_person(one_time=True), login(goal))
    assert page.has_form("/login/new-password")
    assert policy(page)["form-action"] == allowed


@pytest.mark.parametrize(
    ("registered", "given", "allowed"),
    [
        ("http://127.0.0.1/callback", "http://127.0.0.1:49152/callback", "http://127.0.0.1:49152"),
        ("http://[::1]/callback", "http://[::1]:49152/callback", "http:"),
        ("com.example.app:/callback", "com.example.app:/callback", "com.example.app:"),
        ("https://app.example:8443/c", "https://app.example:8443/c", "https://app.example:8443"),
    ],
)
async def test_the_target_is_written_as_browsers_want_it(
    tab: Tab, parties: Parties, registered: str, given: str, allowed: str
) -> None:
    page = await tab.go(login(ask(parties.app(redirect_uris=[registered]), given)))

    assert policy(page)["form-action"] == f"'self' {allowed}"


@pytest.mark.parametrize("redirect_uri", ["https://evil.test/", f"{REDIRECT_URI}/x", "https://app.example"])
async def test_a_target_that_is_not_registered_is_a_page_that_says_so(
    tab: Tab, parties: Parties, redirect_uri: str
) -> None:
    page = await tab.go(login(ask(parties.app(), redirect_uri)))

    assert (page.status, "This link does not work" in page.text) == (400, True)
    check(page)
    assert "evil.test" not in page.answer.text


@pytest.mark.parametrize("goal", ["https://evil.test/", "//evil.test", "/account/../x", "/oauth2/token?x", ""])
async def test_no_sign_in_goes_on_to_anywhere_else(tab: Tab, ada: Person, goal: str) -> None:
    page = await tab.go(login(goal))
    check(page)
    assert page.form("/login").values["continue"] == "/account"

    page = await tab.post("/login", **{"email": ada.email, "password": PASSWORD, "continue": goal})

    assert (page.status, page.location) == (303, "/account")


async def test_whoever_the_client_expects_stands_in_the_form(tab: Tab, parties: Parties, ada: Person) -> None:
    page = await tab.go(login(ask(parties.app(), login_hint=ada.email)))

    assert page.form("/login").values["email"] == ada.email
    assert "autofocus" in page.element("input", name="password")
    assert "An app" in page.text


async def test_a_request_too_long_to_be_remembered_is_told_before_the_password(tab: Tab, parties: Parties) -> None:
    page = await tab.go(login(ask(parties.app(), state="x" * 2600)))

    assert (page.status, "more than can be kept" in page.text) == (400, True)


async def test_where_to_go_on_to_is_kept_while_somebody_resets_their_password(
    tab: Tab, parties: Parties, ada: Person
) -> None:
    goal = ask(parties.app())
    await tab.go(login(goal))
    await tab.go("/login/reset")
    assert goal not in str(tab.cookies)

    page = await tab.go("/login")

    assert page.form("/login").values["continue"] == goal
    assert ada.email not in page.answer.text


async def test_fields_say_what_belongs_in_them(tab: Tab) -> None:
    def said(page: Page) -> list[tuple[str, str]]:
        return [(given["name"], given["autocomplete"]) for given in page.elements() if "autocomplete" in given]

    assert said(await tab.go("/login")) == [("email", "username"), ("password", "current-password")]
    assert said(await tab.go("/login/sign-up")) == [
        ("name", "name"),
        ("email", "username"),
        ("new_password", "new-password"),
    ]

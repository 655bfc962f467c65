"""No form but our own does anything."""

import httpx2
import pytest
from fastapi.routing import iter_route_contexts

from services.auth.main import create_app
from services.auth.pages.errors import is_for_people
from services.auth.settings import AuthSettings
from services.auth.users.exceptions import TooManyAttemptsError
from services.auth.users.limits import SignInLimits
from tests.auth.conftest import ORIGIN
from tests.auth.oauth.parties import Parties
from tests.auth.pages.conftest import MakePerson
from tests.auth.pages.people import PASSWORD, Person, sign_in
from tests.auth.pages.tabs import Tab

STALE = "This page was open for too long"
FOREIGN = "Another site has sent this form"


def posted(settings: AuthSettings) -> list[str]:
    """The paths of people that take a form."""
    contexts = iter_route_contexts(create_app(settings).routes)
    return sorted({c.path for c in contexts if c.path and is_for_people(c.path) and "POST" in (c.methods or ())})


def test_there_are_forms(settings: AuthSettings) -> None:
    assert {"/login", "/login/consent", "/logout", "/account/password"} <= {*posted(settings)}
    assert len(posted(settings)) == 17


async def test_every_form_needs_a_token_of_this_browsers(
    settings: AuthSettings, tab: Tab, http: httpx2.AsyncClient, ada: Person, parties: Parties
) -> None:
    await sign_in(tab, ada)
    stranger = Tab(http)
    token = (await stranger.go("/login/reset")).form().values["token"]
    assert token
    before = parties.sql("SELECT count(*) AS n FROM audit_entries")[0]["n"]

    for path in posted(settings):
        for fields in ({}, {"token": ""}, {"token": "x"}, {"token": token}):
            page = await tab.ask("POST", path, data={"x": "1", **fields})
            assert (page.status, STALE in page.text) == (403, True), (path, fields)

    assert parties.sql("SELECT count(*) AS n FROM audit_entries")[0]["n"] == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_right_token_from_another_site_is_refused(
    settings: AuthSettings, tab: Tab, ada: Person, headers: dict[str, str]
) -> None:
    await sign_in(tab, ada)
    account = tab.page.form("/logout").values["token"]
    own = (await tab.go("/login/reset")).form().values["token"]

    for path in posted(settings):
        page = await tab.ask("POST", path, data={"token": own, "email": ada.email}, headers=headers)
        assert (page.status, FOREIGN in page.text) == (403, True), path
        page = await tab.ask("POST", path, data={"token": account, "email": ada.email}, headers=headers)
        assert (page.status, FOREIGN in page.text) == (403, True), path


async def test_our_own_origin_is_let_through(tab: Tab, ada: Person) -> None:
    tab.headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}

    page = await sign_in(tab, ada)

    assert "This device" in page.text


async def test_a_form_that_was_open_for_too_long_is_shown_again_filled_in(tab: Tab, ada: Person) -> None:
    await tab.go("/login")
    tab.cookies.clear()

    page = await tab.send("/login", email=ada.email, password=PASSWORD)

    assert (page.status, STALE in page.text) == (403, True)
    assert page.form("/login").values["email"] == ada.email
    assert PASSWORD not in page.answer.text
    page = await tab.send("/login", password=PASSWORD)
    assert "This device" in page.text


async def test_a_token_of_one_session_is_nothing_in_another(
    tab: Tab, http: httpx2.AsyncClient, ada: Person, make_person: MakePerson
) -> None:
    await sign_in(tab, ada)
    other = Tab(http)
    await sign_in(other, make_person())

    page = await tab.post("/logout", token=other.page.form("/logout").values["token"])

    assert page.status == 403
    assert "This device" in (await tab.go("/account")).text


async def test_a_token_of_the_sign_in_pages_is_nothing_in_the_account(tab: Tab, ada: Person) -> None:
    own = (await tab.go("/login")).form("/login").values["token"]
    await sign_in(tab, ada)

    page = await tab.post("/logout", token=own)

    assert page.status == 403


async def test_whoever_was_signed_out_meanwhile_is_asked_to_sign_in(tab: Tab, ada: Person) -> None:
    await sign_in(tab, ada)
    del tab.cookies["__Host-session"]

    page = await tab.post("/logout")

    assert (page.status, page.location) == (303, "/login?continue=/account")


async def test_a_link_does_not_sign_out(tab: Tab, ada: Person) -> None:
    await sign_in(tab, ada)

    page = await tab.go("/logout")

    assert page.has_form("/logout")
    assert "This device" in (await tab.go("/account")).text


@pytest.mark.parametrize(
    ("media_type", "body", "status"),
    [
        ("application/json", b'{"email": "a@b.c"}', 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/x-www-form-urlencoded", b"email=%ff", 400),
        ("application/x-www-form-urlencoded", b"email=%00", 400),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 51), 400),
        ("application/x-www-form-urlencoded", b"email=" + b"x" * 1_048_576, 413),
    ],
)
async def test_what_is_no_form_is_refused(tab: Tab, media_type: str, body: bytes, status: int) -> None:
    page = await tab.ask("POST", "/login", content=body, headers={"Content-Type": media_type})

    assert page.status == status


@pytest.mark.parametrize(
    ("fields", "sentence", "field"),
    [
        ({"email": "", "password": "x"}, "Type your e-mail address.", "email"),
        ({"email": "   ", "password": "x"}, "Type your e-mail address.", "email"),
        ({"email": "a@b.c", "password": ""}, "Type your password.", "password"),
        ({"email": "a" * 2000, "password": "x"}, "This is longer than 1024 characters.", "email"),
    ],
)
async def test_a_field_that_is_missing_is_named(
    tab: Tab, fields: dict[str, str | None], sentence: str, field: str
) -> None:
    await tab.go("/login")

    page = await tab.send("/login", **fields)

    assert (page.status, sentence in page.text) == (422, True)
    wrong = page.element("input", name=field)
    assert (wrong["aria-invalid"], wrong["aria-describedby"]) == ("true", "summary")
    assert page.answer.text.startswith("<!doctype html>")
    assert "<title>Error: Sign in" in page.answer.text


async def test_too_many_attempts_say_when_to_come_back(tab: Tab, ada: Person) -> None:
    """What a limit answers, shown in the form; the limits themselves are tested where they are."""

    async def refuse(*_: object) -> None:
        raise TooManyAttemptsError(7)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SignInLimits, "check", refuse)
        page = await sign_in(tab, ada)

    assert (page.status, page.headers["retry-after"]) == (429, "7")
    assert "try again in 7 seconds" in page.text
    assert page.form("/login").values["email"] == ada.email

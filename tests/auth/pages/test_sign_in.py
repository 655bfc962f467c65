"""Signing in by the pages, from the first look to the account."""
# ruff: noqa: S608 - statements are put together from UUIDs of the tests' own

import httpx2
import pytest

from tests.auth.oauth.parties import Parties
from tests.auth.pages.conftest import MakePerson
from tests.auth.pages.people import ANOTHER, PASSWORD, Mailbox, Person, sign_in, turn_on_second_factor
from tests.auth.pages.tabs import Tab

SESSION, STEP = "__Host-session", "__Host-step"


async def test_a_right_password_leads_to_the_account(tab: Tab, ada: Person) -> None:
    page = await sign_in(tab, ada)

    assert (page.status, page.location) == (200, "")
    assert ada.email in page.text
    assert "This device" in page.text
    for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert part in tab.set_cookies[SESSION]


async def test_a_wrong_password_shows_the_form_again_without_it(tab: Tab, ada: Person) -> None:
    page = await sign_in(tab, ada, password="not-the-password")

    assert page.status == 403
    assert page.text.count("The e-mail address or the password is wrong.") == 1
    assert page.form("/login").values["email"] == ada.email
    assert page.form("/login").values["password"] == ""
    assert "not-the-password" not in page.answer.text
    assert "www-authenticate" not in page.headers
    assert SESSION not in tab.cookies
    summary = page.element("div", role="alert")
    assert (summary["tabindex"], "autofocus" in summary) == ("-1", True)
    assert len(page.elements(autofocus="")) == 1


async def test_the_next_form_after_a_wrong_password_signs_in(tab: Tab, ada: Person) -> None:
    await sign_in(tab, ada, password="not-the-password")

    page = await tab.send("/login", password=PASSWORD)

    assert "This device" in page.text


async def test_known_and_unknown_addresses_get_the_same_answer(http: httpx2.AsyncClient, ada: Person) -> None:
    pages = []
    for email in (ada.email, "nobody@slipway.test"):
        tab = Tab(http)
        await tab.go("/login")
        page = await tab.send("/login", email=email, password="not-the-password")
        text = page.answer.text.replace(email, "…").replace(page.form("/login").values["token"], "…")
        kept = {"content-type", "cache-control", "content-security-policy", "content-length"}
        pages.append((page.status, text, sorted(set(page.headers) - {"content-length"} & kept)))

    assert pages[0] == pages[1]


async def test_a_second_factor_is_asked_for_after_the_password(http: httpx2.AsyncClient, tab: Tab, ada: Person) -> None:
    await sign_in(tab, ada)
    codes = await turn_on_second_factor(tab, ada)
    assert len(codes) == 10

    fresh = Tab(http)
    page = await sign_in(fresh, ada)
    assert page.has_form("/login/second-factor")
    assert SESSION not in fresh.cookies
    assert str(ada.id) not in page.answer.text

    page = await fresh.send("/login/second-factor", code="000000")
    assert (page.status, "The code is wrong" in page.text) == (422, True)
    assert page.element("input", name="code")["aria-invalid"] == "true"

    page = await fresh.send("/login/second-factor", code=ada.otp())
    assert "This device" in page.text
    assert STEP not in fresh.cookies

    other = Tab(http)
    await sign_in(other, ada)
    page = await other.send("/login/second-factor", code=codes[0].lower())
    assert "9 recovery codes left" in page.text


async def test_recovery_codes_are_shown_once(tab: Tab, ada: Person) -> None:
    await sign_in(tab, ada)
    codes = await turn_on_second_factor(tab, ada)
    assert all(code not in str(tab.cookies) for code in codes)

    page = await tab.go("/account/recovery-codes")

    assert all(code not in page.answer.text for code in codes)
    page = await tab.send("/account/recovery-codes", password=PASSWORD)
    assert len(page.code_elements()) == 10
    assert not {*page.code_elements()} & {*codes}


async def test_the_second_factor_is_turned_off_with_the_password(tab: Tab, ada: Person) -> None:
    await sign_in(tab, ada)
    await turn_on_second_factor(tab, ada)
    await tab.go("/account/second-factor/remove")
    page = await tab.send("/account/second-factor/remove", password="wrong")
    assert (page.status, page.element("input", name="password")["aria-invalid"]) == (422, "true")

    page = await tab.send("/account/second-factor/remove", password=PASSWORD)

    assert "your password alone is enough" in page.text


async def test_the_authenticators_secret_is_shown_to_the_browser_that_gave_the_password(
    http: httpx2.AsyncClient, tab: Tab, ada: Person
) -> None:
    await sign_in(tab, ada)
    await tab.go("/account/second-factor")
    page = await tab.send("/account/second-factor", password=PASSWORD)
    assert page.has_form("/account/second-factor/app")
    other = Tab(http)
    await sign_in(other, ada)

    page = await other.go("/account/second-factor/app")

    assert page.has_form("/account/second-factor")


async def test_a_one_time_password_leads_to_choosing_another(tab: Tab, make_person: MakePerson) -> None:
    new = make_person(one_time=True)
    page = await sign_in(tab, new)
    assert SESSION not in tab.cookies
    assert PASSWORD not in page.answer.text + str(tab.cookies)

    page = await tab.send("/login/new-password", new_password="password")
    assert (page.status, page.element("input", name="new_password")["aria-invalid"]) == (422, "true")
    page = await tab.send("/login/new-password", new_password=ANOTHER)

    assert "This device" in page.text


@pytest.mark.parametrize("page", ["second-factor", "new-password", "sign-up/code", "reset/code"])
async def test_a_step_without_the_one_before_leads_back_to_the_beginning(tab: Tab, page: str) -> None:
    shown = await tab.go(f"/login/{page}")

    assert shown.has_form("/login")
    assert "That took too long" in shown.text


async def test_what_was_remembered_for_one_step_opens_no_other(tab: Tab, make_person: MakePerson) -> None:
    await sign_in(tab, make_person(one_time=True))

    page = await tab.go("/login/second-factor")

    assert page.has_form("/login")


async def test_signing_in_again_gives_the_session_another_value(tab: Tab, ada: Person, parties: Parties) -> None:
    await sign_in(tab, ada)
    before = tab.cookies[SESSION]

    await sign_in(tab, ada, "/login?continue=/account")

    rows = parties.sql(
        f"SELECT ended_at, authenticated_at > created_at AS again FROM sessions WHERE user_id = '{ada.id}'"
    )
    assert tab.cookies[SESSION] != before
    assert [(row["ended_at"], row["again"]) for row in rows] == [(None, True)]


async def test_somebody_elses_sign_in_ends_the_session_before(
    tab: Tab, ada: Person, make_person: MakePerson, parties: Parties
) -> None:
    await sign_in(tab, ada)
    bob = make_person()

    page = await sign_in(tab, bob, "/login?continue=/account")

    assert bob.email in page.text
    [row] = parties.sql(f"SELECT ended_at FROM sessions WHERE user_id = '{ada.id}'")
    assert row["ended_at"] is not None


async def test_whoever_is_signed_in_goes_on_to_the_account(tab: Tab, ada: Person) -> None:
    await sign_in(tab, ada)

    page = await tab.go("/login")

    assert "This device" in page.text


async def test_signing_up_takes_a_code_from_the_mailbox(tab: Tab, mailbox: Mailbox) -> None:
    email = "grace@slipway.test"
    await tab.go("/login")
    await tab.go("/login/sign-up")
    page = await tab.send("/login/sign-up", name="Grace", email=email, new_password="password")
    assert page.status == 422
    assert page.form().values | {"token": "", "new_password": ""} == {
        "token": "",
        "name": "Grace",
        "email": email,
        "new_password": "",
    }

    page = await tab.send("/login/sign-up", new_password=PASSWORD)
    assert email in page.text
    page = await tab.send("/login/sign-up/code", code="00000-00000")
    assert (page.status, "The code is wrong" in page.text) == (422, True)
    page = await tab.send("/login/sign-up/code", code=await mailbox.code(email))
    assert "Your account is ready" in page.text
    assert page.form("/login").values["email"] == email
    page = await tab.send("/login", password=PASSWORD)

    assert "Grace" in page.text


async def test_signing_up_looks_the_same_for_an_address_that_has_an_account(
    http: httpx2.AsyncClient, ada: Person
) -> None:
    pages = []
    for email in (ada.email, "new@slipway.test"):
        tab = Tab(http)
        await tab.go("/login/sign-up")
        page = await tab.send("/login/sign-up", name="Grace", email=email, new_password=PASSWORD)
        pages.append(page.answer.text.replace(email, "…").replace(page.form().values["token"], "…"))

    assert pages[0] == pages[1]


async def test_a_forgotten_password_is_replaced_and_nobody_signed_in_by_that(
    tab: Tab, ada: Person, mailbox: Mailbox
) -> None:
    await tab.go("/login")
    await tab.go("/login/reset")
    page = await tab.send("/login/reset", email=ada.email)
    assert ada.email in page.text
    code = await mailbox.code(ada.email)
    page = await tab.send("/login/reset/code", code=code, new_password=ANOTHER)

    assert "Your password is changed" in page.text
    assert SESSION not in tab.cookies
    page = await tab.send("/login", password=ANOTHER)
    assert "This device" in page.text


async def test_a_reset_looks_the_same_for_an_address_without_an_account(http: httpx2.AsyncClient, ada: Person) -> None:
    pages = []
    for email in (ada.email, "nobody@slipway.test"):
        tab = Tab(http)
        await tab.go("/login/reset")
        page = await tab.send("/login/reset", email=email)
        pages.append(page.answer.text.replace(email, "…").replace(page.form().values["token"], "…"))

    assert pages[0] == pages[1]


async def test_whoever_was_changed_between_password_and_code_begins_again(
    tab: Tab, http: httpx2.AsyncClient, ada: Person, parties: Parties
) -> None:
    await sign_in(tab, ada)
    await turn_on_second_factor(tab, ada)
    fresh = Tab(http)
    await sign_in(fresh, ada)
    parties.sql(f"UPDATE users SET updated_at = now() + interval '1 second' WHERE id = '{ada.id}'")

    page = await fresh.send("/login/second-factor", code=ada.otp())

    assert page.status == 403
    assert SESSION not in fresh.cookies

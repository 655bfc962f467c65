"""What people see of their accounts, and what they can end there; whatever others call themselves is text."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

from urllib.parse import urlencode

import httpx2

from tests.auth.oauth.flows import request_of, said
from tests.auth.oauth.parties import REDIRECT_URI, Parties
from tests.auth.pages.conftest import MakePerson
from tests.auth.pages.people import ANOTHER, PASSWORD, Person, sign_in
from tests.auth.pages.tabs import Tab

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\" autofocus onfocus='alert(3)"
SESSION = "__Host-session"


async def test_hostile_names_and_user_agents_are_text(
    http: httpx2.AsyncClient, make_person: MakePerson, parties: Parties
) -> None:
    person = make_person("editor", name=HOSTILE)
    client = parties.app(first_party=False)
    quoted = HOSTILE.replace("'", "''")
    parties.sql(f"UPDATE clients SET name = '{quoted}' WHERE id = '{client.id}'")
    tab = Tab(http, **{"User-Agent": HOSTILE[:59]})
    goal = f"/oauth2/authorize?{urlencode(request_of(client))}"
    pages = [await tab.go(f"/login?{urlencode({'continue': goal})}")]
    pages.append(await tab.send("/login", email=person.email, password=PASSWORD))
    assert pages[-1].has_form("/login/consent")
    await tab.ask("POST", "/login/consent", data={**dict(pages[-1].form().fields), "answer": "allow"})
    pages.append(await tab.go("/account"))

    for page in pages:
        assert "<script" not in page.answer.text
        assert "<img src=x" not in page.answer.text
        assert not any("onfocus" in given or "onerror" in given for given in page.elements())
    assert [HOSTILE[:50] in page.text for page in pages] == [True, True, True]
    assert pages[2].text.count("<script>alert(1)</script>") == 3  # the person, the device, the client


async def test_a_hostile_form_comes_back_as_text(tab: Tab) -> None:
    await tab.go("/login/sign-up")

    page = await tab.send("/login/sign-up", name=HOSTILE, email=HOSTILE, new_password="x")

    assert page.status == 422
    assert (page.form().values["name"], page.form().values["email"]) == (HOSTILE, HOSTILE)
    assert "script" not in page.tags


async def test_a_session_is_ended_from_another_one(tab: Tab, http: httpx2.AsyncClient, ada: Person) -> None:
    other = Tab(http)
    await sign_in(other, ada)
    await sign_in(tab, ada)

    page = await tab.send("/account/sessions/end")

    assert "That device is signed out." in page.text
    assert (await other.go("/account")).has_form("/login")
    assert "This device" in (await tab.go("/account")).text


async def test_nobody_ends_somebody_elses_session(
    tab: Tab, http: httpx2.AsyncClient, ada: Person, make_person: MakePerson, parties: Parties
) -> None:
    await sign_in(tab, ada)
    other, bob = Tab(http), make_person()
    await sign_in(other, bob)
    [row] = parties.sql(f"SELECT id FROM sessions WHERE user_id = '{bob.id}'")
    token = tab.page.form("/logout").values["token"]

    for session in (str(row["id"]), "nonsense", ""):
        await tab.ask("POST", "/account/sessions/end", data={"token": token, "session": session})

    assert "This device" in (await other.go("/account")).text


async def test_all_other_sessions_are_ended_at_once(tab: Tab, http: httpx2.AsyncClient, ada: Person) -> None:
    others = [Tab(http), Tab(http)]
    for each in others:
        await sign_in(each, ada)
    await sign_in(tab, ada)

    page = await tab.send("/account/sessions/end-others")

    assert "All other devices are signed out." in page.text
    assert [(await each.go("/account")).form("/login").action for each in others] == ["/login", "/login"]


async def test_signing_out_ends_the_session_for_good(tab: Tab, ada: Person) -> None:
    await sign_in(tab, ada)
    cookie = tab.cookies[SESSION]

    page = await tab.send("/logout")

    assert "You are signed out" in page.text
    assert SESSION not in tab.cookies
    tab.cookies[SESSION] = cookie
    assert (await tab.go("/account")).has_form("/login")


async def test_a_changed_password_signs_out_all_others(tab: Tab, http: httpx2.AsyncClient, ada: Person) -> None:
    other = Tab(http)
    await sign_in(other, ada)
    await sign_in(tab, ada)
    await tab.go("/account/password")
    page = await tab.send("/account/password", password="wrong", new_password=ANOTHER)
    assert (page.status, page.element("input", name="password")["aria-invalid"]) == (422, "true")
    page = await tab.send("/account/password", password=PASSWORD, new_password="password")
    assert (page.status, page.element("input", name="new_password")["aria-invalid"]) == (422, "true")

    page = await tab.send("/account/password", password=PASSWORD, new_password=ANOTHER)

    assert "Your password is changed" in page.text
    assert (await other.go("/account")).has_form("/login")


async def test_what_a_client_may_do_is_asked_allowed_and_taken_back(tab: Tab, ada: Person, parties: Parties) -> None:
    client = parties.app(first_party=False)
    goal = f"/oauth2/authorize?{urlencode(request_of(client))}"
    page = await sign_in(tab, ada, f"/login?{urlencode({'continue': goal})}")
    assert "See your items" in page.text
    assert page.form("/login/consent").fields[-2:] == [("scope", "openid"), ("scope", "items:read")]

    answer = (await tab.ask("POST", "/login/consent", data=_filled(tab, "deny"))).answer
    assert said(answer)["error"] == "access_denied"
    await tab.go(goal)
    answer = (await tab.ask("POST", "/login/consent", data=_filled(tab, "allow"))).answer
    assert answer.headers["location"].startswith(REDIRECT_URI)
    assert "code" in said(answer)
    assert "code" in said((await tab.go(goal)).answer)  # not asked again

    await tab.go("/account")
    page = await tab.send("/account/consents/withdraw")
    assert "can act for you no more" in page.text
    assert (await tab.go(goal)).has_form("/login/consent")


async def test_a_consent_covers_what_was_shown_and_no_more(tab: Tab, ada: Person, parties: Parties) -> None:
    client = parties.app(first_party=False)
    goal = f"/oauth2/authorize?{urlencode(request_of(client, scope='openid items:read items:write'))}"
    await sign_in(tab, ada, f"/login?{urlencode({'continue': goal})}")
    fields = _filled(tab, "allow") | {"scope": ["openid", "items:read", "users:admin"]}

    await tab.ask("POST", "/login/consent", data=fields)

    [row] = parties.sql(f"SELECT scopes FROM consents WHERE client_id = '{client.id}'")
    assert sorted(row["scopes"]) == ["items:read", "openid"]


async def test_whoever_has_no_account_any_more_signs_in(tab: Tab, ada: Person, parties: Parties) -> None:
    await sign_in(tab, ada)
    parties.sql(f"UPDATE users SET disabled_at = now() WHERE id = '{ada.id}'")

    assert (await tab.go("/account")).has_form("/login")


def _filled(tab: Tab, answer: str) -> dict[str, str | list[str]]:
    form = tab.page.form("/login/consent")
    scopes = [value for name, value in form.fields if name == "scope"]
    return {**form.values, "scope": scopes, "answer": answer}

"""No secret of the pages shows in a log, a trace, a metric, the audit log, an address, or a page that refuses.

Every page and form is walked through: signing up, in and out, a second factor, recovery codes, passwords changed, reset
and used once, consent; each also with what is wrong, and with a secret in every place where somebody may put one.
"""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest

from services.auth.main import create_app
from services.auth.settings import AuthSettings
from services.common.logging import configure_logging
from tests.auth.oauth.flows import AUTHORIZE, request_of
from tests.auth.oauth.parties import Parties
from tests.auth.pages import people
from tests.auth.pages.people import ANOTHER, PASSWORD, Mailbox, Person
from tests.auth.pages.tabs import Page, Tab
from tests.support.clients import app_client
from tests.support.traces import Collector

WRONG = "wrong password that somebody typed"
THIRD = "eleven grey swans asleep"
MISPLACED = "a password in the wrong field"  # shown again to whoever has typed it there, and told to nobody else
FOR_CSRF = "token"


@dataclass
class Walk:
    """One browser's way through the pages, and what was secret and said on it."""

    http: httpx2.AsyncClient
    mailbox: Mailbox
    parties: Parties
    secrets: set[str] = field(default_factory=lambda: {PASSWORD, ANOTHER, THIRD, WRONG, MISPLACED})
    shown: set[str] = field(default_factory=lambda: {MISPLACED})  # by a form, when it is shown again
    addresses: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def tab(self) -> "Watched":
        return Watched(self.http, walk=self)

    def found_in(self, text: str) -> set[str]:
        return {secret for secret in self.secrets if secret in text or quote(secret) in text}


class Watched(Tab):
    """A tab that notes every address and every page that refuses, and what the browser keeps secret."""

    def __init__(self, http: httpx2.AsyncClient, *, walk: Walk) -> None:
        super().__init__(http)
        self.walk = walk

    async def ask(self, method: str, path: str, **options: Any) -> Page:
        own = options.pop("own", True)  # false: somebody has put a secret into an address themselves
        page = await super().ask(method, path, **options)
        self.walk.addresses += [page.location] if own else []
        self.walk.secrets |= set(self.cookies.values())
        self.walk.secrets |= {each["value"] for each in page.elements(name=FOR_CSRF) if each.get("value")}
        if page.status >= 400:
            shown = page.answer.text
            for each in page.elements(name=FOR_CSRF):  # the form stands there again with its token
                shown = shown.replace(each["value"], "")
            self.walk.refusals.append(shown)
        return page


async def sign_up_and_in(walk: Walk) -> Person:
    tab, address = walk.tab(), "canary.person@slipway.test"
    await tab.go("/login/sign-up")
    await tab.send("/login/sign-up", name="Ada", email="no address", new_password=PASSWORD)
    await tab.send("/login/sign-up", name="Ada", email=address, new_password="password")
    await tab.send("/login/sign-up", name="Ada", email=address, new_password=PASSWORD)
    code = await walk.mailbox.code(address)
    walk.secrets |= {code, code.replace("-", "")}
    await tab.send("/login/sign-up/code", code=WRONG)
    await tab.send("/login/sign-up/code", code=code)
    await tab.send("/login", email=address, password=WRONG)
    await tab.send("/login", email=MISPLACED, password=WRONG)
    await tab.go("/login")
    await tab.send("/login", email=address, password=PASSWORD)
    [row] = walk.parties.sql(f"SELECT id FROM users WHERE email = '{address}'")  # noqa: S608 - of our own words
    return Person(address, row["id"])


async def use_a_second_factor(walk: Walk, somebody: Person) -> None:
    tab = walk.tab()
    await people.sign_in(tab, somebody)
    await tab.go("/account/second-factor")
    await tab.send("/account/second-factor", password=WRONG)
    page = await tab.send("/account/second-factor", password=PASSWORD)
    somebody.secret = page.code_elements()[0]
    walk.secrets |= {somebody.secret, somebody.secret.replace(" ", "")}
    walk.shown.add(somebody.secret)  # for the app that has to have it, until that has shown that it does
    await tab.send("/account/second-factor/app", code=WRONG)
    page = await tab.send("/account/second-factor/app", code=somebody.otp())
    recovery = page.code_elements()
    walk.secrets |= {word for code in recovery for word in (code, code.replace("-", ""))}
    other = walk.tab()
    await people.sign_in(other, somebody)
    await other.send("/login/second-factor", code="not a code")
    await other.send("/login/second-factor", code=recovery[0])
    again = walk.tab()
    await people.sign_in(again, somebody)
    await again.send("/login/second-factor", code=recovery[0])
    await tab.go("/account/recovery-codes")
    page = await tab.send("/account/recovery-codes", password=PASSWORD)
    walk.secrets |= set(page.code_elements())
    await tab.go("/account/second-factor/remove")
    await tab.send("/account/second-factor/remove", password=WRONG)
    await tab.send("/account/second-factor/remove", password=PASSWORD)


async def change_passwords(walk: Walk, somebody: Person) -> None:
    tab = walk.tab()
    await people.sign_in(tab, somebody)
    await tab.go("/account/password")
    await tab.send("/account/password", password=WRONG, new_password=ANOTHER)
    await tab.send("/account/password", password=PASSWORD, new_password=PASSWORD)
    await tab.send("/account/password", password=PASSWORD, new_password=ANOTHER)
    await tab.go("/logout")
    await tab.send("/logout")
    await tab.go("/login/reset")
    known = len(walk.mailbox.codes(somebody.email))
    await tab.send("/login/reset", email=somebody.email)
    code = await walk.mailbox.code(somebody.email, known)
    walk.secrets |= {code, code.replace("-", "")}
    await tab.send("/login/reset/code", code=WRONG, new_password=THIRD)
    await tab.send("/login/reset/code", code=code, new_password="short")
    await tab.send("/login/reset/code", code=code, new_password=THIRD)
    given = people.person(walk.parties, one_time=True)
    newcomer = walk.tab()
    await people.sign_in(newcomer, given)
    await newcomer.send("/login/new-password", new_password="short")
    await newcomer.send("/login/new-password", new_password=ANOTHER)


async def consent(walk: Walk) -> None:
    somebody, app = people.person(walk.parties, "editor"), walk.parties.app(first_party=False)
    tab = walk.tab()
    query = "&".join(f"{name}={quote(value)}" for name, value in request_of(app).items())
    await tab.go(f"{AUTHORIZE}?{query}")
    await tab.send("/login", email=somebody.email, password=WRONG)
    await tab.send("/login", email=somebody.email, password=PASSWORD)
    assert tab.page.has_form("/login/consent"), tab.page.text
    # what the client gets it gets by its own address, where the code belongs; no other address may hold it
    await tab.ask("POST", "/login/consent", data={"token": WRONG}, own=False)


async def misuse(walk: Walk) -> None:
    """A secret in each query, each field that shows what was typed, and each header; paths of ours have no place."""
    tab = walk.tab()
    await tab.go("/login")
    for path in ("/login", "/login/sign-up", "/login/reset", "/account", "/logout", "/login/second-factor"):
        for name in ("continue", "notice", "password", WRONG):
            await tab.ask("GET", f"{path}?{quote(name)}={quote(WRONG)}", own=False)
        await tab.ask("POST", path, content=f"password={quote(WRONG)}&{quote(WRONG)}=1".encode(), own=False)
        await tab.ask("POST", path, data={"token": WRONG, "password": WRONG, "code": WRONG}, own=False)
        await tab.ask("GET", path, headers={"Cookie": f"__Host-session={quote(WRONG)}", "Referer": WRONG}, own=False)


@pytest.fixture
async def traced(settings: AuthSettings, mailbox: Mailbox, collector: Collector) -> AsyncGenerator[tuple[Any, FastAPI]]:
    del mailbox, collector  # both have to be there before the application is made
    app = create_app(settings)
    async with app_client(app) as http:
        yield http, app


async def test_no_secret_of_the_pages_is_told(
    traced: tuple[httpx2.AsyncClient, FastAPI],
    mailbox: Mailbox,
    collector: Collector,
    parties: Parties,
    capsys: pytest.CaptureFixture[str],
) -> None:
    http, app = traced
    walk = Walk(http, mailbox, parties)
    configure_logging("auth", "DEBUG")
    try:
        somebody = await sign_up_and_in(walk)
        await use_a_second_factor(walk, somebody)
        await change_passwords(walk, somebody)
        await consent(walk)
        await misuse(walk)
    finally:
        configure_logging("auth", "INFO")
    app.state.tracer_provider.force_flush()
    logged = capsys.readouterr()
    lines = [json.loads(line) for line in logged.out.splitlines() if line]
    audited = repr([dict(row) for row in parties.sql("SELECT * FROM audit_entries")])

    assert len([line for line in lines if line["event"] == "request_finished"]) > 80
    assert not [line for line in lines if line["level"] == "error"]
    assert len(collector.spans()) > 80
    assert not walk.found_in(logged.out + logged.err)
    assert not walk.found_in(b"".join(collector.bodies).decode("latin-1"))
    assert not walk.found_in(generate_latest(app.state.registry).decode())
    assert not walk.found_in(audited)
    assert not walk.found_in("\n".join(walk.addresses))
    assert walk.found_in("\n".join(walk.refusals)) <= walk.shown
    assert len(walk.secrets) > 40
    assert len(walk.refusals) > 25

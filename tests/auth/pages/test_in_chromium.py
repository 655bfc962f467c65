"""The pages as people use them, in Chromium: each way through once, each page judged by axe in light and dark."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from services.auth.main import create_app
from services.auth.settings import AuthSettings
from tests.auth.conftest import MakeSettings
from tests.auth.oauth.flows import request_of
from tests.auth.oauth.parties import Parties
from tests.auth.pages.chromium import Open, Watched, chromium, contexts
from tests.auth.pages.conftest import UNLIMITED, MakePerson
from tests.auth.pages.people import ANOTHER, PASSWORD, Mailbox, Person
from tests.support.clients import app_client
from tests.support.servers import free_port

if TYPE_CHECKING:
    from playwright.async_api import Browser

LONG_NAME = "An app with a very long name that goes on and on"


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    """At an address that Chromium trusts with Secure cookies without TLS."""
    return make_settings(issuer=f"http://localhost:{free_port()}", **UNLIMITED)


@pytest.fixture(scope="module")
async def base_url(settings: AuthSettings, mailbox: Mailbox) -> AsyncGenerator[str]:
    del mailbox  # only has to be there before mail leaves
    port = int(settings.issuer.rpartition(":")[2])
    async with app_client(create_app(settings), port=port):
        yield settings.issuer


@pytest.fixture
async def open_browser(browser: Browser, base_url: str) -> AsyncGenerator[Open]:
    async with contexts(browser, base_url) as open_one:
        yield open_one


@pytest.fixture
async def me(open_browser: Open) -> Watched:
    """A browser that has never been here."""
    return await open_browser()


@asynccontextmanager
async def client_at() -> AsyncGenerator[str]:
    """A client's callback on this machine; yields its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"<!doctype html><title>client</title><link rel=icon href=data:,><p>Back at the client"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"


async def sign_in(somebody: Watched, person: Person, password: str = PASSWORD) -> None:
    await somebody.fill(**{"E-mail_address": person.email, "Password": password})
    await somebody.press("Sign in")


async def test_a_person_signs_up_signs_in_and_out(me: Watched, mailbox: Mailbox) -> None:
    email = "grace@slipway.test"
    await me.page.goto("/account")
    await me.look("sign-in")
    await me.follow("Create an account")
    await me.look("sign-up")
    await me.fill(**{"Your_name": "Grace Hopper", "E-mail_address": email, "Password": "password"})
    await me.press("Create account")
    await me.page.get_by_role("alert").wait_for()
    await me.has_focus("summary")
    await me.look("sign-up-refused")
    await me.fill(Password=PASSWORD)
    await me.press("Create account")
    await me.sees("Look into your mailbox")
    await me.look("sign-up-code")
    await me.fill(Code=await mailbox.code(email))
    await me.press("Finish")
    await me.sees("Your account is ready")
    await me.look("sign-in-notice")
    assert await me.page.get_by_label("E-mail address").input_value() == email
    await me.has_focus("password")
    await me.fill(Password=PASSWORD)
    await me.press("Sign in")
    await me.sees("This device")
    await me.press("Sign out")
    await me.sees("You are signed out")
    await me.look("signed-out")
    await me.page.goto("/account")
    await me.sees("Forgot your password?")


async def test_a_second_factor_and_a_recovery_code_in_its_place(me: Watched, open_browser: Open, ada: Person) -> None:
    await me.page.goto("/login")
    await sign_in(me, ada)
    await me.follow("Turn on the second factor")
    await me.look("second-factor-start")
    await me.fill(Your_password=PASSWORD)
    await me.press("Go on")
    await me.page.get_by_text("The app cannot read it").click()
    await me.look("authenticator")
    ada.secret = await me.page.locator("code.key").inner_text()
    await me.fill(Code_from_the_app=ada.otp())
    await me.press("Turn on")
    await me.sees("Your recovery codes")
    await me.look("recovery-codes")
    codes = await me.page.locator("ol.codes code").all_inner_texts()
    await me.follow("I have kept them")
    await me.sees("10 recovery codes left")
    await me.look("account-with-second-factor")

    for code in (ada.otp(), codes[3]):
        other = await open_browser()
        await other.page.goto("/login")
        await sign_in(other, ada)
        await other.sees("Enter your code")
        await other.look("second-factor")
        await other.fill(Code=code)
        await other.press("Go on")
        await other.sees("This device")
    await me.page.reload()
    await me.sees("9 recovery codes left")
    await me.follow("Turn off the second factor")
    await me.look("second-factor-remove")


async def test_a_session_is_seen_and_ended_from_another_browser(me: Watched, open_browser: Open, ada: Person) -> None:
    other = await open_browser()
    for each in (me, other):
        await each.page.goto("/account")
        await sign_in(each, ada)
        await each.sees("This device")
    await me.page.reload()
    await me.look("account")
    devices = me.page.get_by_role("region", name="Where you are signed in")
    assert await devices.get_by_role("listitem").count() == 2

    await devices.get_by_role("button", name="Sign out", exact=True).click()

    await me.sees("That device is signed out.")
    assert await devices.get_by_role("listitem").count() == 1
    await other.page.reload()
    await other.sees("Forgot your password?")


async def test_a_client_is_denied_then_allowed_then_loses_its_access(
    me: Watched, make_person: MakePerson, parties: Parties
) -> None:
    person = make_person("editor", name="Ada Augusta King, Countess of Lovelace")
    async with client_at() as callback:
        client = parties.app(first_party=False, redirect_uris=[callback])
        parties.sql(f"UPDATE clients SET name = '{LONG_NAME}' WHERE id = '{client.id}'")  # noqa: S608
        scope = "openid profile offline_access items:read items:write"
        ask = f"/oauth2/authorize?{urlencode(request_of(client, redirect_uri=callback, scope=scope))}"
        await me.page.goto(ask)
        await me.sees(LONG_NAME)
        await me.look("sign-in-for-client")
        await sign_in(me, person)
        await me.sees("asks for access")
        await me.look("consent")
        await me.press("Deny")
        await me.sees("Back at the client")
        assert "error=access_denied" in me.page.url

        await me.page.goto(ask)
        await me.press("Allow")
        await me.sees("Back at the client")
        assert "code=" in me.page.url

        await me.page.goto("/account")
        await me.look("account-with-client")
        await me.press("Take back")
        await me.sees("That application can act for you no more.")
        await me.page.goto(ask)
        await me.sees("asks for access")


async def test_a_forgotten_password_is_replaced(me: Watched, ada: Person, mailbox: Mailbox) -> None:
    await me.page.goto("/login")
    await me.follow("Forgot your password?")
    await me.look("reset")
    await me.fill(**{"E-mail_address": ada.email})
    await me.press("Mail me a code")
    await me.sees("Choose a new password")
    await me.look("reset-code")
    await me.fill(Code_from_the_mail=await mailbox.code(ada.email), New_password=ANOTHER)
    await me.press("Change password")
    await me.sees("Your password is changed")
    await me.fill(Password=ANOTHER)
    await me.press("Sign in")
    await me.sees("This device")
    await me.follow("Change your password")
    await me.look("password")


async def test_a_one_time_password_is_replaced(me: Watched, make_person: MakePerson) -> None:
    await me.page.goto("/login")
    await sign_in(me, make_person(one_time=True))
    await me.sees("Choose a password")
    await me.look("new-password")
    await me.fill(New_password=ANOTHER)
    await me.press("Save and go on")
    await me.sees("This device")


async def test_everything_can_be_done_with_the_keyboard(me: Watched, ada: Person) -> None:
    keys = me.page.keyboard
    await me.page.goto("/account")
    await me.has_focus("email")
    await keys.type(ada.email)
    await keys.press("Tab")
    await keys.type("wrong")
    await keys.press("Enter")
    await me.sees("is wrong")
    await me.has_focus("summary")
    await keys.press("Tab")  # from the sentence to the first field
    await me.has_focus("email")
    await keys.press("Tab")
    await keys.type(PASSWORD)
    await keys.press("Tab")
    outline = await me.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert (await me.page.evaluate("document.activeElement.type"), outline) == ("submit", "solid")
    await keys.press("Space")
    await me.sees("This device")
    for _ in range(8):
        await keys.press("Tab")
        if await me.page.evaluate("document.activeElement.innerText") == "Sign out":
            break
    await keys.press("Enter")
    await me.sees("You are signed out")


async def test_errors_are_pages(me: Watched) -> None:
    for path, name in (("/login/nowhere", "not-found"), ("/oauth2/authorize?client_id=nobody", "wrong-link")):
        await me.page.goto(path)
        await me.look(name)
    await me.page.goto("/logout")
    await me.sees("You are signed out")

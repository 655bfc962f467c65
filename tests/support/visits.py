"""What a person does on the platform with a browser, wherever it runs: on a cluster, or as plain processes."""

import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.auth.pages.chromium import Watched
from tests.support.waits import until

if TYPE_CHECKING:
    from playwright.async_api import Page

PASSWORD = "eleven slow swans glide"
SWAGGER_SECONDS = 60  # on a busy machine it takes its time to draw the whole API
CODE = re.compile(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b")
LIST_ITEMS = "items-list_items_v1_items_get"
"""Swagger UI's id of an operation: its tag and its operation id."""


def new_email() -> str:
    """An address that nobody has yet."""
    return f"person-{secrets.token_hex(5)}@slipway.test"


def code_for(email: str, log: str) -> str | None:
    """The newest code in what auth's console mailer wrote for this address."""
    found = [code[0] for line in log.splitlines() if email in line and (code := CODE.search(line))]
    return found[-1] if found else None


async def sign_up(me: Watched, email: str, log: Callable[[], str]) -> None:
    """Make an account with the code that auth mails, here to its log; ends at the form to sign in."""
    await me.page.goto("/account")
    await me.follow("Create an account")
    await me.fill(**{"Your_name": "Grace Hopper", "E-mail_address": email, "Password": PASSWORD})
    await me.press("Create account")
    await me.sees("Look into your mailbox")
    codes: list[str] = []

    def mailed() -> bool:
        codes.extend(filter(None, [code_for(email, log())]))
        return bool(codes)

    await until(mailed, f"a code for {email} in the log of auth")
    await me.fill(Code=codes[-1])
    await me.press("Finish")
    await me.sees("Your account is ready")


async def sign_in(me: Watched, email: str) -> None:
    """By the form that is shown, with the e-mail address typed or there already."""
    await me.fill(**{"E-mail_address": email, "Password": PASSWORD})
    await me.press("Sign in")
    await me.sees("This device")


async def authorize_docs(me: Watched) -> None:
    """Swagger UI's "Authorize" by auth: a window opens, auth knows the session already, and it closes by itself."""
    me.context.set_default_timeout(SWAGGER_SECONDS * 1000)
    await me.page.goto("/docs")
    await me.page.get_by_role("button", name="Authorize").first.click()
    form = me.page.locator(".auth-container", has_text="authorizationCode")
    async with me.page.expect_popup() as opened:
        await form.get_by_role("button", name="Apply given OAuth2 credentials").click()
    window = await opened.value
    if not window.is_closed():
        await window.wait_for_event("close", timeout=SWAGGER_SECONDS * 1000)
    await form.get_by_text("Logout").wait_for(timeout=SWAGGER_SECONDS * 1000)
    await form.get_by_text("Close").click()


async def try_operation(page: "Page", name: str) -> tuple[str, str]:
    """Open an operation of Swagger UI by its path and method, execute it, and read status and body of the answer."""
    page.set_default_timeout(SWAGGER_SECONDS * 1000)
    block = page.locator(f"#operations-{name}")
    await block.locator(".opblock-summary-control").click()
    await block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response").first
    await answer.wait_for(timeout=SWAGGER_SECONDS * 1000)
    status = await answer.locator(".response-col_status").inner_text()
    return status.split()[0], await answer.locator(".response-col_description").inner_text()

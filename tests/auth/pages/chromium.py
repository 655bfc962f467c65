"""Chromium without a window, and what it has to say about a page."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:  # the images' own suite has none of it: there the tests are skipped
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request

SECONDS = 45  # of patience on a busy machine
LOOPBACK = frozenset({"localhost", "127.0.0.1"})
PHONE, DESK = (360, 740), (1100, 820)
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
# where to leave pictures of all pages, for people to look at
PICTURES = os.environ.get("TEST_PICTURES")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def program() -> str:
    """Chromium's path; skips where the suite runs in a container that has none, and fails elsewhere."""
    found = shutil.which("chromium")
    if found is None and "TEST_DATABASE_URL" in os.environ:
        pytest.skip("no Chromium here; the same tests run where `make packages` has installed it")
    if found is None:
        pytest.fail("chromium is not installed; `make packages` installs it")
    return found


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """A browser without a profile."""
    path = program()
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Watched:
    """One person's browser, and all that it asked for and complained about."""

    context: BrowserContext
    page: Page
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        # of the context: windows that a page opens are watched as well
        self.context.on("request", self._requested)
        self.context.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _requested(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)

    def _said(self, message: ConsoleMessage) -> None:
        # an answer that is an error is one that a test asks for
        if message.type in {"error", "warning"} and "the server responded with a status of" not in message.text:
            self.complaints.append(message.text)

    async def fill(self, **fields: str) -> None:
        """Type into fields by their labels, with _ for a space."""
        for label, text in fields.items():
            await self.page.get_by_label(label.replace("_", " "), exact=True).fill(text)

    async def press(self, button: str) -> None:
        """A button by its name."""
        await self.page.get_by_role("button", name=button, exact=True).click()

    async def follow(self, link: str) -> None:
        """A link by its name."""
        await self.page.get_by_role("link", name=link).click()

    async def sees(self, text: str) -> None:
        """Wait until it stands on the page."""
        await self.page.get_by_text(text).first.wait_for(timeout=SECONDS * 1000)

    async def has_focus(self, element_id: str) -> None:
        """Wait until an element has the focus, which it is given a moment after it is there."""
        async with asyncio.timeout(SECONDS):
            while await self.page.evaluate("document.activeElement.id") != element_id:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.02)

    async def look(self, name: str) -> None:
        """Have axe judge the page in light and in dark, and see that it fits on a telephone."""
        from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]

        for scheme in SCHEMES:
            await self.page.emulate_media(color_scheme=scheme)
            found = await Axe().run(self.page, options={"runOnly": RULES, "resultTypes": ["violations"]})
            assert found.violations_count == 0, f"{name}, {scheme}:\n{found.generate_report()}"
            for size, (width, height) in {"desk": DESK, "phone": PHONE}.items():
                await self.page.set_viewport_size({"width": width, "height": height})
                wide = await self.page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{name} is {wide} pixels wide on a {size}"
                if PICTURES:
                    path = Path(PICTURES) / f"{name}-{scheme}-{size}.png"
                    await self.page.screenshot(path=path, full_page=True)
        await self.page.set_viewport_size({"width": DESK[0], "height": DESK[1]})


Open = Callable[[], Awaitable[Watched]]


@asynccontextmanager
async def contexts(
    browser: Browser, base_url: str, *, own: frozenset[str] = LOOPBACK, any_certificate: bool = False
) -> AsyncGenerator[Open]:
    """Opens browsers of people who share nothing; at the end all of them have been content and asked only own hosts."""
    opened: list[Watched] = []

    async def open_one() -> Watched:
        context = await browser.new_context(
            base_url=base_url, locale="en", reduced_motion="reduce", ignore_https_errors=any_certificate
        )
        context.set_default_timeout(SECONDS * 1000)
        watched = Watched(context, await context.new_page())
        watched.watch()
        opened.append(watched)
        return watched

    try:
        yield open_one
        for each in opened:
            assert each.complaints == []
            assert {urlsplit(f"//{host}").hostname for host in each.hosts} <= own
    finally:
        for each in opened:
            await each.context.close()

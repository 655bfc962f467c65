"""`/docs` as a person uses it: signed in by auth with PKCE, against the services as plain processes."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from services.gateway import router
from tests.auth.pages.chromium import Watched, chromium, contexts
from tests.support import visits
from tests.support.running import READY, Run

IS_FETCHED = all((router.UI_FOLDER / name).is_file() for name in router.UI_FILES)
pytestmark = [
    pytest.mark.skipif(not IS_FETCHED, reason="needs `make docs-ui`"),
    pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="starts servers of its own"),
]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path / "log")
    try:
        started.wait_for(READY)
        yield started
    finally:
        started.end()


@pytest.fixture
async def me(run: Run) -> AsyncIterator[Watched]:
    async with chromium() as browser, contexts(browser, run.origin) as open_one:
        yield await open_one()


async def test_the_pages_of_the_api_are_signed_in_by_auth_and_used(run: Run, me: Watched) -> None:
    email = visits.new_email()
    await visits.sign_up(me, email, run.log.read_text)
    await visits.sign_in(me, email)

    await me.page.goto("/docs")
    refused = await visits.try_operation(me.page, visits.LIST_ITEMS)
    await visits.authorize_docs(me)
    allowed = await visits.try_operation(me.page, visits.LIST_ITEMS)

    assert refused[0] == "401"
    assert (allowed[0], '"items": []' in allowed[1]) == ("200", True), allowed


async def test_the_page_to_come_back_to_has_no_script_of_its_own(run: Run) -> None:
    answer = httpx2.get(f"{run.origin}/docs/oauth2-redirect", timeout=60)

    assert answer.text.count("<script") == 1
    assert '<script src="/docs/oauth2-redirect.js"></script>' in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]

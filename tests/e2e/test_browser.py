"""A person with a browser on the cluster: an account, its sessions, and the pages of the API signed in and used."""

from collections.abc import AsyncIterator

import pytest

from k8s.local import paths
from tests.auth.pages.chromium import Open, chromium, contexts
from tests.e2e.releases import Release
from tests.support import visits

pytestmark = pytest.mark.e2e

LOG_LINES = 400


@pytest.fixture
async def open_browser(platform: Release) -> AsyncIterator[Open]:
    """Opens browsers of people who share nothing, and sees that they ask nobody but the platform."""
    own = frozenset({platform.host})
    origin = f"https://{platform.host}:{paths.HTTPS_PORT}"
    # of its certificate other tests speak: Chromium reads the authorities of the system, and this one is not there
    async with chromium() as browser, contexts(browser, origin, own=own, any_certificate=True) as open_one:
        yield open_one


def log_of_auth(platform: Release) -> str:
    """What all pods of auth have logged lately: in development mail is written there."""
    return "\n".join(platform.kube.logs(pod, tail=LOG_LINES) for pod in platform.pods("auth"))


async def test_a_person_signs_up_signs_in_and_sees_and_ends_a_session(platform: Release, open_browser: Open) -> None:
    email = visits.new_email()
    here, there = await open_browser(), await open_browser()
    await visits.sign_up(here, email, lambda: log_of_auth(platform))
    await visits.sign_in(here, email)
    await there.page.goto("/login")
    await visits.sign_in(there, email)

    await here.page.reload()
    devices = here.page.get_by_role("region", name="Where you are signed in")
    assert await devices.get_by_role("listitem").count() == 2

    await devices.get_by_role("button", name="Sign out", exact=True).click()

    await here.sees("That device is signed out.")
    assert await devices.get_by_role("listitem").count() == 1
    await there.page.reload()
    await there.sees("Forgot your password?")  # the form to sign in


async def test_the_pages_of_the_api_are_signed_in_by_auth_and_used(platform: Release, open_browser: Open) -> None:
    me = await open_browser()
    email = visits.new_email()
    await visits.sign_up(me, email, lambda: log_of_auth(platform))
    await visits.sign_in(me, email)

    await me.page.goto("/docs")
    refused = await visits.try_operation(me.page, visits.LIST_ITEMS)
    await visits.authorize_docs(me)
    allowed = await visits.try_operation(me.page, visits.LIST_ITEMS)

    assert refused[0] == "401"
    assert (allowed[0], '"items": []' in allowed[1]) == ("200", True), allowed

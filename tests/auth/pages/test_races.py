"""Eight browsers at once, over two processes, with one code: RACE_ROUNDS times, 20 unless the environment says more.

As in the races of OAuth, the last test takes the locks away and sees each promise broken.
"""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest

from services.auth.sessions.cookies import COOKIE
from services.auth.settings import AuthSettings
from services.auth.users.second_factor import STEP_SECONDS
from tests.auth.oauth.parties import Parties
from tests.auth.pages import people
from tests.auth.pages.people import CODE, PASSWORD
from tests.auth.pages.tabs import Tab
from tests.auth.processes import AT_ONCE, ROUNDS, two_replicas
from tests.support.processes import Process
from tests.support.waits import until

TIMEOUT_SECONDS = 30


@dataclass
class Browsers:
    """Browsers, by turns at the processes."""

    clients: list[httpx2.AsyncClient]
    processes: list[Process]
    parties: Parties

    def tabs(self) -> list[Tab]:
        return [Tab(self.clients[number % 2]) for number in range(AT_ONCE)]

    def codes(self, address: str) -> list[str]:
        """The codes that were mailed to somebody; mail goes to the log here."""
        lines = [line for process in self.processes for line in process.log.splitlines() if address in line]
        return [found[0] for line in lines if (found := CODE.search(line))]


@asynccontextmanager
async def over(processes: list[Process], parties: Parties) -> AsyncGenerator[Browsers]:
    async with (
        httpx2.AsyncClient(base_url=processes[0].url, timeout=TIMEOUT_SECONDS) as first,
        httpx2.AsyncClient(base_url=processes[1].url, timeout=TIMEOUT_SECONDS) as second,
    ):
        yield Browsers([first, second], processes, parties)


@pytest.fixture(scope="module")
def processes(settings: AuthSettings) -> Iterator[list[Process]]:
    with two_replicas(settings, LOG_LEVEL="INFO") as started:
        yield started


@pytest.fixture
async def browsers(processes: list[Process], parties: Parties) -> AsyncGenerator[Browsers]:
    async with over(processes, parties) as opened:
        yield opened


async def type_at_once(browsers: Browsers, somebody: people.Person, code: str) -> int:
    """Everybody has typed the password and types this as the second factor; how many get in."""
    tabs = browsers.tabs()
    await asyncio.gather(*(people.sign_in(tab, somebody) for tab in tabs))
    pages = await asyncio.gather(*(tab.post("/login/second-factor", code=code) for tab in tabs))
    assert {page.status for page in pages} <= {303, 400, 401, 422}, [page.text for page in pages]
    return len([tab for tab in tabs if COOKIE in tab.cookies])


async def with_second_factor(browsers: Browsers) -> tuple[people.Person, list[str]]:
    somebody, tab = people.person(browsers.parties, "viewer"), browsers.tabs()[0]
    await people.sign_in(tab, somebody)
    return somebody, await people.turn_on_second_factor(tab, somebody)


async def type_one_step_at_once(browsers: Browsers, rounds: int) -> None:
    """A code of the app lets one in."""
    somebody, _ = await with_second_factor(browsers)
    for _ in range(rounds):
        somebody.spent = int(time.time()) // STEP_SECONDS - 1  # the code of this step is good for half a minute more
        browsers.parties.sql(f"UPDATE totp_factors SET last_step = NULL WHERE user_id = '{somebody.id}'")
        assert await type_at_once(browsers, somebody, somebody.otp()) == 1


async def type_one_recovery_code_at_once(browsers: Browsers, rounds: int) -> None:
    """A recovery code lets one in."""
    somebody, [code, *_] = await with_second_factor(browsers)
    for _ in range(rounds):
        browsers.parties.sql(f"UPDATE recovery_codes SET used_at = NULL WHERE user_id = '{somebody.id}'")
        assert await type_at_once(browsers, somebody, code) == 1


async def sign_up(browsers: Browsers) -> tuple[str, str, list[Tab]]:
    """The address, the code that was mailed, and browsers that all wait for it."""
    address, tabs = f"{uuid.uuid4().hex}@slipway.test", browsers.tabs()
    await tabs[0].go("/login/sign-up")
    await tabs[0].send("/login/sign-up", name="Ada", email=address, new_password=PASSWORD)
    await until(lambda: browsers.codes(address), f"a code to {address}")
    for tab in tabs[1:]:
        tab.cookies, tab.page = dict(tabs[0].cookies), tabs[0].page
    return address, browsers.codes(address)[0], tabs


async def confirm_at_once(browsers: Browsers, rounds: int) -> None:
    """A code of a sign-up makes one account, for one of those who type it."""
    for _ in range(rounds):
        address, code, tabs = await sign_up(browsers)
        pages = await asyncio.gather(*(tab.post("/login/sign-up/code", code=code) for tab in tabs))

        assert [page.location for page in pages].count("/login?notice=signed-up") == 1
        made = browsers.parties.sql(f"SELECT id FROM users WHERE email = '{address}'")
        events = f"event = 'user_signed_up' AND subject = '{made[0]['id']}'"
        assert (len(made), len(browsers.parties.sql(f"SELECT 1 FROM audit_entries WHERE {events}"))) == (1, 1)


async def guess_at_once(browsers: Browsers, rounds: int) -> None:
    """Each guess counts, also those of one moment: five, and the right code is good no more."""
    for _ in range(rounds):
        address, code, tabs = await sign_up(browsers)
        await asyncio.gather(*(tab.post("/login/sign-up/code", code="00000-00000") for tab in tabs))
        [row] = browsers.parties.sql(f"SELECT attempts FROM mailed_codes WHERE email = '{address}'")
        late = browsers.tabs()[0]
        late.cookies, late.page = dict(tabs[0].cookies), tabs[0].page

        assert row["attempts"] == 5
        assert (await late.post("/login/sign-up/code", code=code)).location != "/login?notice=signed-up"


Race = Callable[[Browsers, int], Awaitable[None]]
RACES: list[Race] = [type_one_step_at_once, type_one_recovery_code_at_once, confirm_at_once, guess_at_once]


@pytest.mark.parametrize("race", RACES)
async def test_what_is_good_once_is_taken_once(browsers: Browsers, race: Race) -> None:
    await race(browsers, ROUNDS)


async def test_without_the_locks_codes_let_more_than_one_in(settings: AuthSettings, parties: Parties) -> None:
    with two_replicas(settings, LOG_LEVEL="INFO", WITHOUT_LOCKS="1") as processes:
        async with over(processes, parties) as browsers:
            # not `confirm_at_once`: that an address is unique keeps a second account away even so
            for race in (type_one_step_at_once, type_one_recovery_code_at_once, guess_at_once):
                with pytest.raises(AssertionError):
                    await race(browsers, ROUNDS)

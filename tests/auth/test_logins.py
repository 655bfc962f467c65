"""The database's logins rotate under auth: the old one is disabled while requests run, and nobody is refused for it."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
import pytest

from services.auth.settings import AuthSettings
from tests.auth.conftest import MakeSettings
from tests.auth.oauth.flows import TOKEN
from tests.auth.oauth.parties import App, Parties
from tests.auth.pages import people
from tests.auth.pages.tabs import Tab
from tests.auth.processes import environment
from tests.support.databases import execute, with_login
from tests.support.processes import Process, service_process
from tests.support.waits import until

AT_ONCE = 4
ENOUGH = 40
DEADLINE_SECONDS = 180


@dataclass(frozen=True)
class Logins:
    """Two logins of one database; each URL is one's."""

    admin_url: str
    first: str
    second: str
    names: tuple[str, str]

    def disable_first(self) -> None:
        """As the Job of the roles does in the end."""
        execute(self.admin_url, f"ALTER ROLE {self.names[0]} NOLOGIN")


@pytest.fixture
def logins(migrated_url: str) -> Iterator[Logins]:
    names = (f"app_{secrets.token_hex(4)}_a", f"app_{secrets.token_hex(4)}_b")
    for name in names:
        execute(
            migrated_url,
            f"CREATE ROLE {name} LOGIN PASSWORD 'p'",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}",
        )
    first, second = (with_login(migrated_url, name, "p") for name in names)
    yield Logins(migrated_url, first, second, names)
    for name in names:
        execute(migrated_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@dataclass
class Traffic:
    """Machines that take tokens and a person who is signed in, at whichever processes are known."""

    app: App
    tab: Tab
    clients: list[httpx2.AsyncClient] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def ask(self) -> None:
        """One after the other, for ever."""
        number = 0
        while True:
            number += 1
            http = self.clients[number % len(self.clients)]
            form = {"grant_type": "client_credentials", **self.app.authentication()}
            cookies = "; ".join(f"{name}={value}" for name, value in self.tab.cookies.items())
            self.note(await http.post(TOKEN, data=form))
            self.note(await http.get("/account", headers={"Cookie": cookies}))
            await asyncio.sleep(0.01)

    def note(self, answer: httpx2.Response) -> None:
        self.answers[answer.status_code] += 1
        stated = answer.status_code == 503 and "retry-after" in answer.headers
        if answer.status_code != 200 and not stated:
            self.wrong.append(f"{answer.status_code} {answer.text[:200]}")

    async def more(self, process: Process) -> None:
        """Return once there are many more good answers."""
        known = self.answers[200]
        await until(lambda: self.answers[200] > known + ENOUGH or self.wrong, "more answers", lambda: process.log)


@asynccontextmanager
async def traffic(app: App, http: httpx2.AsyncClient, somebody: people.Person) -> AsyncGenerator[Traffic]:
    tab = Tab(http)
    await people.sign_in(tab, somebody)
    running = Traffic(app, tab, [http])
    tasks = [asyncio.create_task(running.ask()) for _ in range(AT_ONCE)]
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield running
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def settings(make_settings: MakeSettings) -> AuthSettings:
    return make_settings(sign_in_per_address=100_000)


def on(settings: AuthSettings, url: str) -> dict[str, str]:
    return environment(settings) | {"DATABASE_URL": url, "DATABASE_POOL_SIZE": "3", "LOG_LEVEL": "WARNING"}


async def test_a_login_that_is_disabled_while_requests_run_costs_no_token_and_no_sign_in(
    settings: AuthSettings, logins: Logins
) -> None:
    parties = Parties(logins.admin_url)
    app = parties.app(grants=["client_credentials"])
    with service_process("services.auth", on(settings, logins.first)) as old:
        async with (
            httpx2.AsyncClient(base_url=old.url, timeout=30) as at_old,
            traffic(app, at_old, people.person(parties, "editor")) as seen,
        ):
            await seen.more(old)
            with service_process("services.auth", on(settings, logins.second)) as new:
                async with httpx2.AsyncClient(base_url=new.url, timeout=30) as at_new:
                    seen.clients = [at_old, at_new]
                    await seen.more(old)
                    before = seen.answers[503]
                    logins.disable_first()  # while the old process serves still: earlier than the Job would
                    await seen.more(old)
                    seen.clients = [at_new]
                    await asyncio.sleep(0.2)
                    old.terminate()
                    await seen.more(new)
                    ended = await asyncio.to_thread(old.wait)
                    logs = old.log + new.log

    assert seen.wrong == []
    assert before == 0  # two processes on two logins are nothing special
    assert ended == 0
    assert "Traceback" not in logs


def command(settings: AuthSettings, url: str, *words: str) -> tuple[int, str]:
    with service_process("services.auth", on(settings, url), arguments=words, wait_ready=False) as process:
        return process.wait(), process.log


def test_commands_go_on_with_the_new_login_and_end_with_a_sentence_with_the_old_one(
    settings: AuthSettings, logins: Logins
) -> None:
    logins.disable_first()
    for words in (("keys", "list"), ("users", "list"), ("clean",), ("audit", "verify")):
        good, told = command(settings, logins.second, *words)
        code, log = command(settings, logins.first, *words)

        assert good == 0, told
        assert code == 1, log
        assert "Traceback" not in log

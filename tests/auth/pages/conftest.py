"""The pages over the real application, with a mailbox and people who have accounts."""

from collections.abc import AsyncGenerator, Callable, Generator

import httpx2
import pytest

from services.auth.main import create_app
from services.auth.settings import AuthSettings
from services.auth.users.mail import ConsoleMailer
from tests.auth.conftest import MakeSettings
from tests.auth.oauth.parties import Parties
from tests.auth.pages import people
from tests.auth.pages.people import Mailbox, Person
from tests.auth.pages.tabs import Tab
from tests.support.clients import app_client

MANY = 100_000
# what is limited is tested where it is meant
UNLIMITED = {
    "sign_in_per_address": MANY,
    "sign_in_per_account": MANY,
    "second_factor_per_account": MANY,
    "mails_per_recipient": MANY,
    "mails_per_address": MANY,
}

MakePerson = Callable[..., Person]


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    return make_settings(**UNLIMITED)


@pytest.fixture(scope="module")
def mailbox() -> Generator[Mailbox]:
    """Everybody's."""
    received = Mailbox()

    async def send(_: ConsoleMailer, to: str, subject: str, text: str) -> None:
        del subject
        received.mails.append((to, text))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConsoleMailer, "send", send)
        yield received


@pytest.fixture(scope="module")
async def http(settings: AuthSettings, mailbox: Mailbox) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of one replica."""
    del mailbox  # only has to be there before mail leaves
    async with app_client(create_app(settings)) as opened:
        yield opened


@pytest.fixture
def parties(migrated_url: str) -> Parties:
    return Parties(migrated_url)


@pytest.fixture
def tab(http: httpx2.AsyncClient) -> Tab:
    """A browser that has never been here."""
    return Tab(http)


@pytest.fixture
def make_person(parties: Parties) -> MakePerson:
    def make(*roles: str, name: str = "Ada Lovelace", one_time: bool = False) -> Person:
        return people.person(parties, *roles, name=name, one_time=one_time)

    return make


@pytest.fixture
def ada(make_person: MakePerson) -> Person:
    """Somebody with an account."""
    return make_person("editor")

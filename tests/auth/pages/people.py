"""People with accounts, mailboxes and telephones."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import re
import time
import uuid
from dataclasses import dataclass, field

import argon2
import pyotp

from tests.auth.oauth.parties import Parties
from tests.auth.pages.tabs import Page, Tab
from tests.support.waits import until

PASSWORD = "seven quiet herons wade"
ANOTHER = "nine loud geese overhead"
SOME_SECONDS = 15  # in which a slow test gets a code to auth
CODE = re.compile(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b")
# what `make_settings` asks for
HASHED = argon2.PasswordHasher(time_cost=5, memory_cost=7168, parallelism=1).hash(PASSWORD)


@dataclass
class Mailbox:
    """What was mailed, the newest last."""

    mails: list[tuple[str, str]] = field(default_factory=list)

    def codes(self, to: str) -> list[str]:
        return [found[0] for address, text in self.mails if address == to and (found := CODE.search(text))]

    async def code(self, to: str, known: int = 0) -> str:
        """The newest code, once there are more than were known."""
        await until(lambda: len(self.codes(to)) > known, f"a code to {to}")
        return self.codes(to)[-1]


@dataclass
class Person:
    """Somebody with an account."""

    email: str
    id: uuid.UUID
    secret: str | None = None  # of the authenticator app
    spent: int = 0

    def otp(self) -> str:
        """A code of the app that was not used yet, of a time step that will be good for some seconds more.

        Of the step before, which is good still, of this one, or of the next, which is good already; of those after it
        once they are.
        """
        assert self.secret is not None
        totp = pyotp.TOTP(self.secret.replace(" ", ""))
        now, gone = divmod(time.time(), totp.interval)
        first = int(now) - (gone < totp.interval - SOME_SECONDS)
        step = self.spent = max(self.spent + 1, first)
        time.sleep(max(0, (step - 1) * totp.interval - time.time()))
        return totp.generate_otp(step)


def person(parties: Parties, *roles: str, name: str = "Ada Lovelace", one_time: bool = False) -> Person:
    """An account whose password is PASSWORD."""
    user_id = parties.person(*roles)
    email = f"{user_id}@slipway.test"
    until_when = "now() + interval '1 day'" if one_time else "NULL"
    quoted = name.replace("'", "''")
    parties.sql(
        f"UPDATE users SET password_hash = '{HASHED}', name = '{quoted}', password_expires_at = {until_when} "
        f"WHERE id = '{user_id}'"
    )
    return Person(email, user_id)


async def sign_in(tab: Tab, somebody: Person, path: str = "/login", password: str = PASSWORD) -> Page:
    """By the form, to where it leads."""
    await tab.go(path)
    return await tab.send("/login", email=somebody.email, password=password)


async def turn_on_second_factor(tab: Tab, somebody: Person) -> list[str]:
    """By the pages, from the account; returns the recovery codes."""
    await tab.go("/account/second-factor")
    page = await tab.send("/account/second-factor", password=PASSWORD)
    somebody.secret = page.code_elements()[0]
    page = await tab.send("/account/second-factor/app", code=somebody.otp())
    return page.code_elements()

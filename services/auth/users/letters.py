"""What is written to people. Nothing in it was typed by somebody else, and no link is to be followed."""

from typing import NamedTuple
from urllib.parse import urlsplit

from services.auth.users.codes import LIFETIME

MINUTES = int(LIFETIME.total_seconds() // 60)
NOT_YOU = "If it was not you, somebody else may know your password: choose another, or ask an administrator for help."


class Letter(NamedTuple):
    """A mail without its address."""

    subject: str
    text: str


class Letters:
    """The letters of one installation."""

    def __init__(self, issuer: str) -> None:
        """Take the public origin, whose host people know the installation by."""
        self.host = urlsplit(issuer).netloc

    def sign_up(self, code: str) -> Letter:
        """To an address that nobody has."""
        return Letter(
            f"Your code for {self.host}",
            f"Your code is {code}\n\nType it where you were asked for it within {MINUTES} minutes.\n"
            "If you did not sign up, forget this mail: nothing happens without the code.\n",
        )

    def known(self) -> Letter:
        """To an address that somebody signs up with who has an account."""
        return Letter(
            f"You have an account at {self.host}",
            "Somebody, you perhaps, wanted to sign up with this address, which has an account already.\n"
            "Sign in with it; if you have forgotten its password, ask there for a new one.\n",
        )

    def reset(self, code: str) -> Letter:
        """To somebody who has forgotten a password."""
        return Letter(
            f"A new password for {self.host}",
            f"Your code is {code}\n\nType it where you were asked for it within {MINUTES} minutes, and choose a new "
            "password.\nIf you did not ask for it, forget this mail: nothing happens without the code.\n",
        )

    def password_changed(self) -> Letter:
        """After any change of a password."""
        return Letter(
            f"Your password for {self.host} was changed",
            f"Your password was changed just now, and you were signed out elsewhere.\n{NOT_YOU}\n",
        )

    def second_factor(self, *, on: bool) -> Letter:
        """After the authenticator was added or removed."""
        return Letter(
            f"Signing in to {self.host}",
            f"An authenticator app was {'added to' if on else 'removed from'} your account just now.\n{NOT_YOU}\n",
        )

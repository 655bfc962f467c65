"""The token of the workers: a machine's, renewed at half its life, so that a failing sign-in has the other half."""

import math
import threading
import time
from typing import Self

import httpx2

from tests.e2e.ledger.book import Attempt, Book, Entry
from tests.e2e.ledger.caller import Connect, NoTokenError, outcome, refusal_flaw

Machine = tuple[str, str]
"""Id and secret of a client."""

RENEWED_AFTER = 0.5  # of its life
ENDED_AFTER = 0.9  # likewise: what is sent has to arrive in time
AGAIN_SECONDS = 0.5  # after a sign-in that failed
FIRST_SECONDS = 30.0


class SignIn:
    """Signs in before the run, and renews in a thread of its own: no request waits for it.

    A sign-in that fails is a failed sign-in in the book, and nothing else for as long as the last token is good. After
    that requests are not sent: each of them has failed for want of a token. So a 401 is never explained by a sign-in.
    """

    def __init__(self, connect: Connect, machine: Machine, book: Book, *, every_seconds: float = math.inf) -> None:
        self._every_seconds = every_seconds  # sooner than at half the token's life
        self._connect = connect
        self._machine = machine
        self._book = book
        self._token, self._renew_at, self._ends_at = "", 0.0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="sign-in")

    def __enter__(self) -> Self:
        """Have a token. Raises TimeoutError with the last answers."""
        deadline = time.monotonic() + FIRST_SECONDS
        failed: list[Attempt] = []
        while not (entry := self._sign_in()).served:
            failed += entry.attempts
            if time.monotonic() > deadline:
                raise TimeoutError(f"no sign-in within {FIRST_SECONDS} s: {failed[-3:]}")
            time.sleep(AGAIN_SECONDS)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def current(self) -> str:
        """A token that has not ended. Raises NoTokenError."""
        if time.monotonic() >= self._ends_at:
            raise NoTokenError
        return self._token

    def _keep(self) -> None:
        pause = 0.0
        while not self._stop.wait(max(pause, self._renew_at - time.monotonic())):
            entry = self._sign_in()
            self._book.add(entry)
            pause = 0.0 if entry.served else AGAIN_SECONDS

    def _sign_in(self) -> Entry:
        began = time.monotonic()
        entry = Entry("sign_in", self._machine[0], self._book.now())
        attempt = Attempt(entry.began, 0, "")
        entry.attempts.append(attempt)
        try:
            with self._connect() as client:
                answer = client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=self._machine)
        except httpx2.TransportError as error:
            attempt.outcome = type(error).__name__
        else:
            attempt.outcome = outcome(answer)
            if answer.status_code == 200:
                entry.served = True
                life = answer.json()["expires_in"]
                self._token = answer.json()["access_token"]
                self._renew_at = began + min(life * RENEWED_AFTER, self._every_seconds)
                self._ends_at = began + life * ENDED_AFTER
            elif answer.status_code >= 500:  # a 4xx of OAuth has a form of its own (RFC 6749 5.2)
                attempt.flaw = refusal_flaw(answer)
        attempt.seconds = self._book.now() - attempt.at
        return entry

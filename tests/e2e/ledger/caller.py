"""One request as a client library sends it: over a kept connection, and again when that can do no harm."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

from tests.e2e.ledger.book import Attempt, Book, Entry

AGAIN = frozenset({"502", "503", "504"})
KEY_IN_USE = "409 idempotency-key-in-use"
NO_TOKEN = "no token"  # nothing was sent: there is no sign-in to send it with
PROBLEM = "application/problem+json"
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0

Connect = Callable[[], httpx2.Client]
"""Makes a client of one connection; called again when that has ended, as whoever balances may choose anew."""

Judge = Callable[[httpx2.Response], str]
"""What is wrong with an answer of the expected status; empty when nothing is."""


class NoTokenError(Exception):
    """There is no token that has not ended."""


class Tokens(Protocol):
    """Where the token of the next request comes from."""

    def current(self) -> str:
        """One that has not ended. Raises NoTokenError."""


@dataclass(frozen=True)
class Retries:
    """How often the same request is sent, key and body unchanged, and for how long.

    After 502, 503 and 504, after a connection that could not be had, ended or stood still, and after the 409 that says
    that an earlier attempt with the same key still runs. The pause is that of Retry-After where it is said, at most two
    seconds, else it doubles from a tenth of one.
    """

    attempts: int = 10
    seconds: float = 20.0


PATIENT = Retries()
NONE = Retries(attempts=1)


class Caller:
    """One worker's way to the platform."""

    def __init__(self, connect: Connect, tokens: Tokens, book: Book, retries: Retries) -> None:
        self._connect = connect
        self._tokens = tokens
        self._book = book
        self._retries = retries
        self._client: httpx2.Client | None = None

    def close(self) -> None:
        """Let the connection go."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def ask(
        self, entry: Entry, method: str, path: str, *, expected: int, judge: Judge, **request: Any
    ) -> httpx2.Response | None:
        """The answer of the expected status, or None; whatever became of it is in the book."""
        answer = None
        for number in range(1, self._retries.attempts + 1):
            attempt, answer = self._try(entry, method, path, expected=expected, judge=judge, **request)
            entry.served = attempt.outcome == str(expected) and not attempt.flaw
            if entry.served or not _may_repeat(attempt.outcome):
                break
            if number == self._retries.attempts or self._book.now() - entry.began > self._retries.seconds:
                break
            time.sleep(_pause(answer, number))
        self._book.add(entry)
        return answer if entry.served else None

    def _try(
        self, entry: Entry, method: str, path: str, *, expected: int, judge: Judge, **request: Any
    ) -> tuple[Attempt, httpx2.Response | None]:
        attempt = Attempt(self._book.now(), 0, "", "")
        entry.attempts.append(attempt)
        answer = None
        try:
            headers = {"Authorization": f"Bearer {self._tokens.current()}", **request.pop("headers", {})}
            self._client = self._client or self._connect()
            answer = self._client.request(method, path, headers=headers, **request)
        except NoTokenError:
            attempt.outcome = NO_TOKEN
        except httpx2.TransportError as error:
            attempt.outcome = type(error).__name__
            self.close()
        else:
            attempt.outcome = outcome(answer)
            attempt.flaw = judge(answer) if answer.status_code == expected else refusal_flaw(answer)
            if answer.headers.get("connection", "").lower() == "close":
                self.close()
        attempt.seconds = self._book.now() - attempt.at
        return attempt, answer


def outcome(answer: httpx2.Response) -> str:
    """The status; of the one 409 that is no refusal for good, its kind as well."""
    in_use = answer.status_code == 409 and b"/idempotency-key-in-use" in answer.content
    return KEY_IN_USE if in_use else str(answer.status_code)


def refusal_flaw(answer: httpx2.Response) -> str:
    """What a refusal lacks of what is promised of every one (RFC 9457; RFC 9110 10.2.3 for 503)."""
    if answer.headers.get("content-type") != PROBLEM:
        return "no problem document"
    after = answer.headers.get("retry-after", "")
    return "no Retry-After" if answer.status_code == 503 and not after.isdecimal() else ""


def _may_repeat(outcome: str) -> bool:
    return outcome in AGAIN or outcome in {KEY_IN_USE, NO_TOKEN} or not outcome[:1].isdigit()


def _pause(answer: httpx2.Response | None, number: int) -> float:
    after = answer.headers.get("retry-after", "") if answer is not None else ""
    doubled = FIRST_PAUSE_SECONDS * 2 ** (number - 1) * random.uniform(0.75, 1.25)
    return min(LONGEST_PAUSE_SECONDS, float(after) if after.isdecimal() else doubled)

"""Passwords: Argon2id in threads of their own, few at a time, with the same work for people that do not exist.

A password is put into Unicode's NFKC before it is hashed (NIST SP 800-63B-4, 3.1.1.2), so that one typed on another
keyboard or system is the same, and is never cut. Its characters are counted after that, for the same reason. What
somebody signs in with is not judged, only what they choose.
"""

import asyncio
import base64
import secrets
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from zxcvbn import matching, scoring  # type: ignore[import-untyped]
from zxcvbn.feedback import get_feedback  # type: ignore[import-untyped]
from zxcvbn.time_estimates import guesses_to_score  # type: ignore[import-untyped]

from services.auth.settings import PasswordSettings
from services.auth.users.exceptions import WeakPasswordError
from services.common.exceptions import UnavailableError

LEAST, MOST = 8, 128  # characters, in NFKC
MOST_TYPED = 4 * MOST  # one character is typed as four at most: ᾂ in NFD
LEAST_SCORE = 2  # of zxcvbn's 0 to 4: 10^6 guesses and more
# characters that zxcvbn looks at: its time grows with their square and with the ways to read signs as letters; the
# worst 24 take less than half a second, the worst 72 more than three
SEEN = 24
WORDS, WORD_MOST = 10, 100
HASH_BYTES, SALT_BYTES = 32, 16
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)  # seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password is right, and whether its hash should be made anew with today's parameters."""

    ok: bool
    rehash: bool = False


class PasswordMetrics:
    """What the threads do."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.running = Gauge("password_hashes_running", "Passwords at work in a thread", registry=registry)
        self.waiting = Gauge("password_hashes_waiting", "Passwords that wait for a thread", registry=registry)
        self.refused = Counter(
            "password_hashes_refused_total", "Answered 503: too many were waiting for a thread", registry=registry
        )
        self.seconds = Histogram(
            "password_hash_duration_seconds", "How long a thread worked", buckets=BUCKETS, registry=registry
        )


class PasswordHasher:
    """Hashes and verifies outside the event loop; `close` it at the end.

    At most `password_threads` work and `password_queue` wait. Who comes then gets UnavailableError, whose Retry-After
    is one to three seconds. A caller that goes away while waiting gives its place back at once; one whose hash is
    being made gives it back when that is done, for a thread cannot be stopped.
    """

    def __init__(self, settings: PasswordSettings, registry: CollectorRegistry) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=settings.argon2_iterations,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_parallelism,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
        )
        self._nobodys = _hash_of_nothing(settings)
        self._threads = ThreadPoolExecutor(settings.password_threads, thread_name_prefix="password")
        self._workers = settings.password_threads
        self._places = settings.password_threads + settings.password_queue
        self._taken = 0
        self._lock = Lock()
        self._metrics = PasswordMetrics(registry)
        self._metrics.waiting.set_function(self._waiting)

    async def hash(self, password: str) -> str:
        """A new hash in the PHC string format. Raises UnavailableError; give it what `check_new` has let through."""
        return await self._in_a_thread(self._argon2.hash, _normal(password))

    async def verify(self, password_hash: str | None, password: str) -> Verdict:
        """Whether `password` is that of the hash; None, for somebody unknown, costs the same. Raises UnavailableError.

        A row whose parameters are not today's costs what they cost, until its owner's next sign-in makes it anew.
        """
        return await self._in_a_thread(self._verify, password_hash, password)

    async def check_new(self, password: str, *words: str) -> None:
        """Judge a password that somebody wants to have; `words` are what others know of them: name, e-mail.

        Raises WeakPasswordError with a sentence that helps and never quotes the password, and UnavailableError.
        """
        _check_length(password)
        score, feedback = await self._in_a_thread(_judge, password, words)
        if score < LEAST_SCORE:
            raise WeakPasswordError(_help(feedback))

    def close(self) -> None:
        """End the threads; what waits is given up."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _verify(self, password_hash: str | None, password: str) -> Verdict:
        try:
            known, given = password_hash or self._nobodys, _normal(password)
        except ValueError:  # nobody can have this one
            known, given = self._nobodys, b""
        try:
            self._argon2.verify(known, given)
        except VerifyMismatchError:
            return Verdict(ok=False)
        except (InvalidHashError, VerificationError):
            if known is self._nobodys:  # no memory: nothing was found out about the password
                raise
            return self._verify(None, password)  # no hash at all: as if there was nobody
        return Verdict(ok=True, rehash=self._argon2.check_needs_rehash(known))

    def _waiting(self) -> float:
        with self._lock:
            return max(0, self._taken - self._workers)

    async def _in_a_thread(self, work: Callable[..., T], *args: Any) -> T:
        with self._lock:
            free = self._taken < self._places
            self._taken += free
        if not free:
            self._metrics.refused.inc()
            raise UnavailableError("Too many people are signing in at this moment")
        try:
            future = self._threads.submit(self._work, work, args)
        except RuntimeError:  # closed: the process is ending
            self._give_back(None)
            raise UnavailableError("The service is ending") from None
        future.add_done_callback(self._give_back)
        return await asyncio.wrap_future(future)

    def _work(self, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        began = time.perf_counter()
        with self._metrics.running.track_inprogress():
            try:
                return work(*args)
            finally:
                self._metrics.seconds.observe(time.perf_counter() - began)

    def _give_back(self, _: Future[Any] | None) -> None:
        with self._lock:
            self._taken -= 1


def _normal(password: str) -> bytes:
    """What is hashed. Raises ValueError for more than anybody's password can have, and for halves of characters."""
    if len(password) > MOST_TYPED:
        raise ValueError("longer than any password")
    normal = unicodedata.normalize("NFKC", password)
    if len(normal) > MOST:
        raise ValueError("longer than any password")
    return normal.encode()


def _check_length(password: str) -> None:
    try:
        normal = _normal(password)
    except UnicodeEncodeError:
        raise WeakPasswordError("The password holds half a character, which no keyboard types.") from None
    except ValueError:
        raise WeakPasswordError(f"The password has more than {MOST} characters.") from None
    if len(normal.decode()) < LEAST:
        raise WeakPasswordError(f"The password has fewer than {LEAST} characters. A few words that are yours do well.")


def _judge(password: str, words: tuple[str, ...]) -> tuple[int, dict[str, Any]]:
    """Zxcvbn's score and advice. Its own function puts the words of a call where calls in other threads find them."""
    seen = unicodedata.normalize("NFKC", password)[:SEEN]
    known = [part for word in ("slipway", *words[:WORDS]) for part in _parts(word[:WORD_MOST].lower())]
    dictionaries = matching.RANKED_DICTIONARIES | {"user_inputs": matching.build_ranked_dict(known)}
    found = scoring.most_guessable_match_sequence(seen, matching.omnimatch(seen, dictionaries))
    score: int = guesses_to_score(found["guesses"])
    return score, get_feedback(score, found["sequence"])


def _parts(word: str) -> list[str]:
    """`ann.smith@example.com` is guessed as a whole, as far as it would be seen, and by its parts."""
    normal = unicodedata.normalize("NFKC", word)
    parts = "".join(c if c.isalnum() else " " for c in normal).split()
    return [part[:SEEN] for part in (normal, *parts) if len(part) > 2]  # noqa: PLR2004 - two letters are in any word


def _help(feedback: dict[str, Any]) -> str:
    """Zxcvbn's advice: sentences of its own, which hold nothing of the password."""
    sentences = ["The password would soon be guessed.", feedback["warning"], *feedback["suggestions"]]
    return " ".join(sentence if sentence.endswith(".") else f"{sentence}." for sentence in sentences if sentence)


def _hash_of_nothing(settings: PasswordSettings) -> str:
    """A hash with today's parameters that no password has: random bytes where the result would be."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (SALT_BYTES, HASH_BYTES)
    )
    memory, iterations, lanes = settings.argon2_memory_kib, settings.argon2_iterations, settings.argon2_parallelism
    return f"$argon2id$v=19$m={memory},t={iterations},p={lanes}${salt}${digest}"

"""Passwords: the same work whoever signs in, a few at a time, and new ones that are worth the work."""

import asyncio
import sys
import threading
import unicodedata
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import argon2
import pytest
from argon2 import _password_hasher as argon2_module
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.auth.settings import PasswordSettings
from services.auth.users.exceptions import WeakPasswordError
from services.auth.users.passwords import PasswordHasher, Verdict
from services.common.exceptions import UnavailableError
from tests.support.waits import until

SECONDS = 20
GOOD = "a lighthouse keeps bees"
THREADS, QUEUE = 2, 3
PLACES = THREADS + QUEUE
# the least that is allowed: what is tested is not how long a hash takes
CHEAP = {"argon2_memory_kib": 7168, "argon2_iterations": 5}


def hasher_settings(**changes: Any) -> PasswordSettings:
    values = CHEAP | {"password_threads": THREADS, "password_queue": QUEUE} | changes
    return PasswordSettings(environment="development", **values)


@contextmanager
def open_hasher(registry: CollectorRegistry | None = None, **changes: Any) -> Generator[PasswordHasher]:
    hasher = PasswordHasher(hasher_settings(**changes), registry or CollectorRegistry())
    try:
        yield hasher
    finally:
        hasher.close()


@pytest.fixture(scope="module")
def hasher() -> Generator[PasswordHasher]:
    with open_hasher() as opened:
        yield opened


class Gate:
    """Hashes as Argon2 does, once a test lets it."""

    def __init__(self, real: argon2.PasswordHasher) -> None:
        self._real = real
        self._lock = threading.Lock()
        self._open = threading.Event()
        self.working = 0
        self.most = 0

    def hash(self, password: bytes) -> str:
        with self._lock:
            self.working += 1
            self.most = max(self.most, self.working)
        try:
            assert self._open.wait(SECONDS)
            return self._real.hash(password)
        finally:
            with self._lock:
                self.working -= 1

    def open(self) -> None:
        self._open.set()


Gated = tuple[PasswordHasher, Gate, CollectorRegistry]


@pytest.fixture
async def gated(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Gated]:
    registry = CollectorRegistry()
    with open_hasher(registry) as hasher:
        gate = Gate(hasher._argon2)
        monkeypatch.setattr(hasher, "_argon2", gate)
        try:
            yield hasher, gate, registry
        finally:
            gate.open()


async def start(hasher: PasswordHasher, count: int) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(hasher.hash(GOOD)) for _ in range(count)]
    await asyncio.sleep(0)  # each runs until it waits
    return tasks


async def outcomes(tasks: Sequence[asyncio.Task[str]]) -> list[str | BaseException]:
    async with asyncio.timeout(SECONDS):
        return await asyncio.gather(*tasks, return_exceptions=True)


def full_width(text: str) -> str:
    return text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})


Calls = list[tuple[str, bytes]]


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What Argon2 was asked: the parameters of the hash, and the password."""
    calls: Calls = []
    real = argon2.low_level.verify_secret

    def count(known: bytes, given: bytes, kind: argon2.Type) -> bool:
        calls.append((known.decode().rpartition("$")[0].rpartition("$")[0], given))
        return real(known, given, kind)

    monkeypatch.setattr(argon2_module, "verify_secret", count)
    return calls


async def test_a_password_is_verified_against_its_hash_and_no_other_is(hasher: PasswordHasher) -> None:
    known = await hasher.hash(GOOD)

    assert known.startswith("$argon2id$v=19$m=7168,t=5,p=1$")
    assert known != await hasher.hash(GOOD)
    assert await hasher.verify(known, GOOD) == Verdict(ok=True, rehash=False)
    assert not (await hasher.verify(known, GOOD + " ")).ok


@pytest.mark.parametrize("known", [None, "", "none", "$argon2id$v=19$m=7168,t=5,p=1$nonsense"])
@pytest.mark.parametrize("password", [GOOD, "", "x" * 129, "x" * 100_000, "\ud800", "\0"])
async def test_somebody_unknown_costs_one_hash_like_anybody_whatever_they_type(
    hasher: PasswordHasher, verified: Calls, known: str | None, password: str
) -> None:
    somebodys = await hasher.hash(GOOD)
    await hasher.verify(somebodys, "wrong")
    [(parameters, _)] = verified
    verified.clear()

    assert not (await hasher.verify(known, password)).ok

    worked = [asked for asked, _ in verified if not asked.endswith("nonsense")]
    assert [asked for asked in worked if asked == parameters] == [parameters]


async def test_a_password_that_nobody_can_have_costs_one_hash_for_somebody_known_too(
    hasher: PasswordHasher, verified: Calls
) -> None:
    known = await hasher.hash(GOOD)

    for password in ("x" * 129, "x" * 100_000, "\ud800"):
        assert not (await hasher.verify(known, password)).ok

    assert len(verified) == 3


async def test_that_there_was_no_memory_is_not_called_a_wrong_password(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await hasher.hash(GOOD)

    def refuse(*_: object) -> bool:
        raise argon2.exceptions.VerificationError("Memory allocation error")

    monkeypatch.setattr(argon2_module, "verify_secret", refuse)
    with pytest.raises(argon2.exceptions.VerificationError):
        await hasher.verify(known, GOOD)


@pytest.mark.parametrize(
    ("changes", "rehash"),
    [
        ({}, False),
        ({"argon2_iterations": 6}, True),
        ({"argon2_memory_kib": 8192}, True),
        ({"argon2_parallelism": 2}, True),
    ],
)
async def test_a_hash_of_other_days_is_verified_and_said_to_be_due_for_a_new_one(
    hasher: PasswordHasher, changes: dict[str, Any], rehash: bool
) -> None:
    with open_hasher(**changes) as older:
        known = await older.hash(GOOD)

    assert await hasher.verify(known, GOOD) == Verdict(ok=True, rehash=rehash)
    assert await hasher.verify(known, "wrong") == Verdict(ok=False, rehash=False)


async def test_as_many_work_as_there_are_threads_others_wait_and_who_comes_then_is_told_when_to_come_again(
    gated: Gated,
) -> None:
    hasher, gate, registry = gated

    tasks = await start(hasher, PLACES + 2)
    await until(lambda: gate.working == THREADS, "the threads at work")
    assert registry.get_sample_value("password_hashes_running") == THREADS
    assert registry.get_sample_value("password_hashes_waiting") == QUEUE
    gate.open()
    done = await outcomes(tasks)

    refused = [error for error in done if isinstance(error, UnavailableError)]
    assert len(refused) == 2
    assert all(error.status == 503 and 1 <= int(error.headers["Retry-After"]) <= 3 for error in refused)
    assert sum(isinstance(known, str) for known in done) == PLACES
    assert gate.most == THREADS
    assert registry.get_sample_value("password_hashes_refused_total") == 2
    assert registry.get_sample_value("password_hashes_waiting") == 0
    assert registry.get_sample_value("password_hash_duration_seconds_count") == PLACES


async def test_a_caller_that_goes_away_gives_its_place_back_once(gated: Gated) -> None:
    hasher, gate, registry = gated
    tasks = await start(hasher, PLACES)
    await until(lambda: gate.working == THREADS, "the threads at work")

    for task in tasks:
        task.cancel()
    await outcomes(tasks)

    # who waited has left; what is at work is in its thread until it is done, and in nobody's way twice
    assert registry.get_sample_value("password_hashes_waiting") == 0
    again = await start(hasher, QUEUE + 1)
    await until(again[-1].done, "refusing one more than can wait")
    assert isinstance(again[-1].exception(), UnavailableError)
    gate.open()
    assert all(isinstance(known, str) for known in (await outcomes(again))[:-1])
    await until(lambda: hasher._taken == 0, "giving back the places of those who left")
    assert all(isinstance(known, str) for known in await outcomes(await start(hasher, PLACES)))
    assert gate.most == THREADS


async def test_work_that_fails_gives_its_place_back(hasher: PasswordHasher) -> None:
    for _ in range(PLACES + 1):
        with pytest.raises(ValueError, match="longer than any password"):
            await hasher.hash("x" * 129)

    assert await hasher.hash(GOOD)


async def test_after_the_end_the_answer_is_503() -> None:
    with open_hasher() as hasher:
        pass

    for _ in range(PLACES + 1):
        with pytest.raises(UnavailableError, match="ending"):
            await hasher.hash(GOOD)


async def test_the_loop_turns_while_a_thread_hashes() -> None:
    turns = 0
    with open_hasher(argon2_iterations=100) as hasher:
        task = asyncio.create_task(hasher.hash(GOOD))
        while not task.done():
            await asyncio.sleep(0)
            turns += 1

    assert turns > 100  # were it hashed in the loop, it would be two or three


@pytest.mark.parametrize("other", ["NFD", "NFKD"])
async def test_a_password_is_the_same_however_its_characters_are_typed(hasher: PasswordHasher, other: Any) -> None:
    password = f"Åse rows ﬁve né {full_width('boats')} Ⅳ"
    known = await hasher.hash(password)

    typed = unicodedata.normalize(other, password)
    assert typed != password
    await hasher.check_new(typed)
    assert (await hasher.verify(known, typed)).ok
    assert not (await hasher.verify(known, password.replace("é", "e"))).ok


async def test_a_long_password_typed_as_bases_and_marks_is_not_too_long(hasher: PasswordHasher) -> None:
    # three marks on each letter
    password = "".join(chr(0x1F82 + 8 * (number % 5) + number * number % 6) for number in range(128))
    known = await hasher.hash(password)

    typed = unicodedata.normalize("NFD", password)
    assert len(typed) > 3 * len(password)
    await hasher.check_new(typed)
    assert (await hasher.verify(known, typed)).ok


async def test_the_last_of_128_characters_counts(hasher: PasswordHasher) -> None:
    password = "".join(chr(0x1F300 + number * number) for number in range(128))  # four bytes each
    await hasher.check_new(password)
    known = await hasher.hash(password)

    assert (await hasher.verify(known, password)).ok
    assert not (await hasher.verify(known, password[:-1] + "x")).ok
    assert not (await hasher.verify(known, password[:-1])).ok


@pytest.mark.parametrize(
    "password", ["kx\0vq\n\tz", "жшлыюбэд", "🐝🍯🌼🐻🌲🏡🌧🌈", " \u2028;\x7f'b~ ", "m;'\"<>&%"], ids=ascii
)
async def test_any_characters_do_from_eight_on(hasher: PasswordHasher, password: str) -> None:
    with pytest.raises(WeakPasswordError, match="fewer than 8"):
        await hasher.check_new(password[:7])
    await hasher.check_new(password)

    assert (await hasher.verify(await hasher.hash(password), password)).ok


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "fewer than 8"),
        ("e\u0301" * 7, "fewer than 8"),  # seven letters in fourteen code points
        ("x" * 129, "more than 128"),
        ("ﷺ" * 8, "more than 128"),  # each is eighteen characters in NFKC
        ("a\u0301\u0316" * 100_000, "more than 128"),
        ("good enough \ud800", "half a character"),
    ],
)
async def test_what_has_no_fitting_length_is_refused(hasher: PasswordHasher, password: str, why: str) -> None:
    with pytest.raises(WeakPasswordError, match=why) as caught:
        await hasher.check_new(password)

    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("letmein1", ()),
        ("trustno1", ()),
        ("P@$$w0rd", ()),
        ("qwertyuiop", ()),
        ("zzzzzzzzzzzz", ()),
        ("34567890", ()),
        ("slipway1", ()),
        (full_width("slipway7"), ()),
        ("Ann.Smithson@isp.test", ("Ann", "ann.smithson@isp.test")),
        ("smithson7", ("Ann", "ann.smithson@isp.test")),
        ("constantinople", ("Constantinople Smithson",)),
        ("maximiliane.von.und.zu.hohenfels@isp.test", ("Max", "maximiliane.von.und.zu.hohenfels@isp.test")),
    ],
)
async def test_what_is_soon_guessed_is_refused_with_a_sentence_that_quotes_nothing(
    hasher: PasswordHasher, password: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(WeakPasswordError, match="would soon be guessed") as caught:
        await hasher.check_new(password, *words)

    said = str(caught.value).lower()
    pieces = {password[start : start + 4].lower() for start in range(len(password) - 3)} - {"6543", "word"}
    assert not [piece for piece in pieces if piece in said]
    assert not [word for word in words if word.lower() in said]


@pytest.mark.parametrize("password", [GOOD, "correct horse battery staple", "8kJz-Qm2v", "zuur-deeg-brood"])
async def test_what_is_not_soon_guessed_is_let_through(hasher: PasswordHasher, password: str) -> None:
    await hasher.check_new(password, "Ann Smithson", "ann@isp.test")


@pytest.fixture
def mixed_threads() -> Generator[None]:
    """Threads take turns far more often than they usually do."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("mixed_threads")
async def test_what_others_know_of_one_person_is_held_against_them_alone(hasher: PasswordHasher) -> None:
    password, email = "kowalczykowskiuhlenhorst", "kowalczykowski@uhlenhorst.test"

    for _ in range(10):
        theirs, anothers = await asyncio.gather(
            hasher.check_new(password, email), hasher.check_new(password, "ann@isp.test"), return_exceptions=True
        )
        assert isinstance(theirs, WeakPasswordError)
        assert anothers is None


@settings(deadline=None, max_examples=40)
@given(password=st.text(max_size=130), words=st.lists(st.text(max_size=120), max_size=12))
@example(password="İıßŉǰΣ٣²ﬃ" * 3, words=["İ" * 200, ""])
@example(password="4@8({[<369!1|07$5+%2", words=[])
def test_every_text_is_either_let_through_or_refused_with_a_sentence(password: str, words: list[str]) -> None:
    said: list[str] = []

    async def check() -> None:
        with open_hasher() as hasher:
            try:
                await hasher.check_new(password, *words)
            except WeakPasswordError as error:
                said.append(str(error))

    asyncio.run(check())
    assert all(sentence.startswith("The password ") for sentence in said)

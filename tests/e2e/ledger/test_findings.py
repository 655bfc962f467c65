"""The ledger sees what a lying server does: each fault that is planted is found, and nothing else."""

import json
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from tests.e2e.ledger.book import Book, Kind
from tests.e2e.ledger.caller import NONE, PATIENT, Retries
from tests.e2e.ledger.findings import SLOW_SECONDS, Findings, judge
from tests.e2e.ledger.liar import Liar, lying
from tests.e2e.ledger.workers import Ledger

MOST_SECONDS = 60
MACHINE = ("ledger", "secret")
BRIEF = Retries(attempts=2, seconds=1)


def found_by(
    liar: Liar, retries: Retries = PATIENT, *, until: Callable[[Book], bool] = lambda book: len(book.entries) > 100
) -> tuple[Findings, Book]:
    """What a run against this server finds, when so much was asked or something else has come about."""
    with lying(liar):
        ledger = Ledger(liar.client, MACHINE)
        with ledger.working(retries, workers=2, pause_seconds=0.005):
            deadline = time.monotonic() + MOST_SECONDS
            while not until(ledger.book):
                assert time.monotonic() < deadline, f"only this came about: {ledger.book.entries[-5:]}"
                time.sleep(0.02)
    # a request that is slow because the machine is busy is none of the faults
    slow_seconds = 0.5 if liar.fault == "slow" else SLOW_SECONDS
    return judge(ledger.book, liar.rows, slow_seconds=slow_seconds), ledger.book


def failed(*kinds: Kind) -> Callable[[Book], bool]:
    """Whether one of each of these has failed."""
    return lambda book: {entry.kind for entry in book.of(*kinds) if not entry.served} == set(kinds)


def kinds(found: Findings) -> set[str]:
    return {each.name for each in fields(found) if getattr(found, each.name)}


def test_a_server_that_tells_the_truth_is_found_nothing_of() -> None:
    found, book = found_by(Liar(), NONE)

    assert not found, str(found)
    assert str(found) == "nothing found"
    assert all(len(list(book.of(kind))) > 5 for kind in ("create", "replace", "read", "list"))


@pytest.mark.parametrize(
    ("method", "fault", "seen"),
    [
        ("POST", "drops the write", {"lost_writes"}),  # and the list lacks it
        ("POST", "doubles the write", {"doubled_writes"}),
        ("POST", "another's item", {"failed_writes", "unexplained"}),
        ("POST", "500", {"failed_writes", "unexplained"}),
        ("PUT", "500", {"failed_writes", "unexplained"}),
        ("GET", "500", {"failed_reads", "unexplained"}),
        ("LIST", "500", {"failed_reads", "unexplained"}),
        ("POST", "401", {"failed_writes", "unexplained"}),
        ("GET", "401", {"failed_reads", "unexplained"}),
        ("LIST", "401", {"failed_reads", "unexplained"}),
        ("GET", "404", {"failed_reads", "unexplained"}),
        ("GET", "429", {"failed_reads", "unexplained"}),
        ("GET", "another's item", {"failed_reads", "unexplained"}),
        ("POST", "closes", {"failed_writes"}),
        ("GET", "closes", {"failed_reads"}),
        ("LIST", "closes", {"failed_reads"}),
        ("POST", "503", {"failed_writes"}),
        ("GET", "503 bare", {"failed_reads", "bare_refusals"}),
        ("POST", "502 bare", {"failed_writes", "bare_refusals"}),
        ("GET", "stale", {"stale_reads"}),
        ("LIST", "stale", {"stale_reads"}),
        ("GET", "slow", {"slow_requests"}),
    ],
)
def test_each_fault_is_seen_by_its_name(method: str, fault: str, seen: set[str]) -> None:
    found, _ = found_by(Liar(fault, method), NONE)

    also = {"stale_reads"} if fault == "drops the write" else set()
    assert seen <= kinds(found) <= seen | also, str(found)


def test_a_dropped_replacement_is_seen_by_whoever_reads_and_by_the_row() -> None:
    found, _ = found_by(Liar("drops the write", "PUT"), NONE)

    assert set() < kinds(found) <= {"stale_reads", "lost_writes"}, str(found)


@pytest.mark.parametrize(("method", "fault"), [("POST", "503"), ("GET", "503"), ("POST", "closes"), ("PUT", "closes")])
def test_what_is_said_to_be_repeatable_is_repeated_and_counted(method: str, fault: str) -> None:
    found, book = found_by(Liar(fault, method))

    assert not found.but("slow_requests"), str(found)  # pauses add up
    repeated = [entry for entry in book.entries if len(entry.attempts) > 1]
    assert repeated
    assert all(entry.served for entry in repeated)


def test_a_key_that_is_forgotten_doubles_what_is_repeated() -> None:
    found, _ = found_by(Liar("forgets the key"))

    assert kinds(found) - {"slow_requests"} == {"doubled_writes"}, str(found)  # pauses add up


def test_repeating_ends() -> None:
    found, book = found_by(Liar("503", "LIST"), NONE)

    assert kinds(found) == {"failed_reads"}
    assert {len(entry.attempts) for entry in book.entries} == {1}


@pytest.mark.parametrize(("fault", "unexplained"), [("sign-in 503", set()), ("sign-in 401", {"unexplained"})])
def test_a_sign_in_that_fails_is_no_failed_request_while_the_token_is_good(fault: str, unexplained: set[str]) -> None:
    """Half of the token's life is left then."""
    found, _ = found_by(Liar(fault, sign_ins=1, token_seconds=8), until=failed("sign_in"))

    assert kinds(found) - {"bare_refusals"} == {"failed_sign_ins"} | unexplained, str(found)


def test_without_a_token_requests_fail_for_want_of_one_and_none_is_sent() -> None:
    found, book = found_by(
        Liar("sign-in 401", sign_ins=1, token_seconds=1), BRIEF, until=failed("read", "create", "list")
    )

    assert {"failed_sign_ins", "failed_reads", "failed_writes", "unexplained"} == kinds(found), str(found)
    assert set(found.unexplained) == {"sign_in: 401"}
    assert {a.outcome for e in book.of("read", "list", "create") if not e.served for a in e.attempts} == {"no token"}


def test_a_sign_in_that_is_never_answered_ends_the_run_with_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.e2e.ledger.sign_in.FIRST_SECONDS", 0.5)

    with pytest.raises(TimeoutError, match=r"no sign-in within .*outcome='401'"):
        found_by(Liar("sign-in 401"))


def test_a_row_that_nobody_sent_is_found() -> None:
    found = judge(Book(), [("ledger-1-worker-0-000001", 1)])

    assert kinds(found) == {"unasked_rows"}


def test_every_answer_is_written_down_with_its_time(tmp_path: Path) -> None:
    liar, file = Liar(), tmp_path / "book.jsonl"
    with lying(liar):
        ledger = Ledger(liar.client, MACHINE, book=Book(file))
        with ledger.working(workers=1):
            pass

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == len(ledger.book.entries) > 3
    assert all(attempt["outcome"] and attempt["at"] >= 0 for line in lines for attempt in line["attempts"])

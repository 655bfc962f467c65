"""What runs came to, kept in a file: a line of the table each."""

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.ledger.book import READS, WRITES, Book
from tests.e2e.ledger.caller import Retries
from tests.e2e.ledger.findings import Findings

FILE = Path(__file__).with_name("results.json")


@dataclass
class Result:
    """One run: what was done to the platform, and what its clients got of it.

    `retried` are requests that were answered after more than one attempt, `answers` all attempts by how they ended,
    `interrupted_seconds` the longest that one request waited.
    """

    event: str
    test: str
    with_retries: bool
    measured: str
    seconds: float
    writes: int
    reads: int
    retried: int
    failed: int
    lost: int
    doubled: int
    stale: int
    sign_ins: int
    sign_ins_failed: int
    interrupted_seconds: float
    answers: dict[str, int]


def result(event: str, test: str, book: Book, found: Findings, retries: Retries) -> Result:
    """The figures of a run."""
    asked = [entry for entry in book.entries if entry.kind in (*WRITES, *READS)]
    return Result(
        event=event,
        test=test,
        with_retries=retries.attempts > 1,
        measured=time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        seconds=round(book.now()),
        writes=sum(entry.kind in WRITES for entry in asked),
        reads=sum(entry.kind in READS for entry in asked),
        retried=sum(entry.served and len(entry.attempts) > 1 for entry in asked),
        failed=len(found.failed_writes) + len(found.failed_reads),
        lost=len(found.lost_writes),
        doubled=len(found.doubled_writes),
        stale=len(found.stale_reads),
        sign_ins=len(list(book.of("sign_in"))),
        sign_ins_failed=len(found.failed_sign_ins),
        interrupted_seconds=round(max((entry.seconds for entry in asked), default=0), 1),
        answers=dict(Counter(attempt.outcome for entry in asked for attempt in entry.attempts)),
    )


def read(file: Path = FILE) -> list[Result]:
    """What is kept, in its order; nothing where there is no file."""
    return [Result(**each) for each in json.loads(file.read_text())] if file.exists() else []


def merged(kept: list[Result], new: list[Result]) -> list[Result]:
    """A newer run of the same event takes the place of the older."""
    by_event = {each.event: each for each in [*kept, *new]}
    return list(by_event.values())


def write(results: list[Result], file: Path = FILE) -> None:
    """Keep them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(each) for each in results], indent=1) + "\n")

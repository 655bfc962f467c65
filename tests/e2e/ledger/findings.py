"""What a run has found: its book compared with itself and with the rows that are left in the database."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields

from tests.e2e.ledger.book import READS, WRITES, Attempt, Book, Entry
from tests.e2e.ledger.caller import AGAIN, KEY_IN_USE, NO_TOKEN

SLOW_SECONDS = 10.0
EXPECTED = {"create": "201", "replace": "200", "read": "200", "list": "200", "sign_in": "200"}

Row = tuple[str, int]
"""Name and price of an item of the run, as the database has it: `rows_query` asks for them."""


def rows_query(run: str) -> str:
    """The SQL for all rows of a run."""
    return f"SELECT name, price_minor FROM items WHERE name LIKE '{run}-%'"  # noqa: S608 - the run's name is made here


@dataclass
class Findings:
    """All that should not be; each list names what it is about. None: a platform that nobody noticed anything of."""

    lost_writes: list[str] = field(default_factory=list)  # acknowledged, and not in the database
    doubled_writes: list[str] = field(default_factory=list)  # in the database more than once
    unasked_rows: list[str] = field(default_factory=list)  # in the database, and never sent so
    failed_writes: list[str] = field(default_factory=list)  # given up, or refused
    failed_reads: list[str] = field(default_factory=list)
    stale_reads: list[str] = field(default_factory=list)  # older than a write acknowledged before they were asked
    failed_sign_ins: list[str] = field(default_factory=list)
    slow_requests: list[str] = field(default_factory=list)  # waited for longer than ten seconds
    bare_refusals: Counter[str] = field(default_factory=Counter)  # 502, 503 or 504 without what is promised of them
    unexplained: Counter[str] = field(default_factory=Counter)  # every other answer

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(asdict(self).values())

    def __str__(self) -> str:
        """A line for each kind, with its first cases."""
        lines = []
        for each in fields(self):
            found = getattr(self, each.name)
            cases = [f"{case} ({count})" for case, count in found.items()] if isinstance(found, Counter) else found
            if found:
                lines.append(f"{each.name}: {len(cases)}: {'; '.join(cases[:6])}")
        return "\n".join(lines) or "nothing found"

    def but(self, *names: str) -> "Findings":
        """Those that a test did not allow."""
        return Findings(**{each.name: getattr(self, each.name) for each in fields(self) if each.name not in names})


def judge(book: Book, rows: Iterable[Row], *, slow_seconds: float = SLOW_SECONDS) -> Findings:
    """Compare every answer of a book with the others and with the rows."""
    found = Findings()
    _compare_with_rows(book, list(rows), found)
    _look_for_stale(book, found)
    for entry in book.of(*WRITES, *READS, "sign_in"):
        _look_at(entry, slow_seconds, found)
    return found


def _compare_with_rows(book: Book, rows: list[Row], found: Findings) -> None:
    times = Counter(name for name, _ in rows)
    held = dict(rows)
    sent: defaultdict[str, set[int | None]] = defaultdict(set)
    acknowledged: defaultdict[str, int] = defaultdict(int)
    for entry in book.of(*WRITES):
        sent[entry.name].add(entry.value)
        if entry.served:
            acknowledged[entry.name] = max(acknowledged[entry.name], entry.value or 0)
    found.lost_writes = [
        f"{name}={value}, the row has {held.get(name)}"
        for name, value in acknowledged.items()
        if held.get(name, -1) < value
    ]
    found.doubled_writes = [f"{name}, {count} rows" for name, count in times.items() if count > 1]
    found.unasked_rows = [f"{name}={value}" for name, value in rows if value not in sent[name]]


def _look_for_stale(book: Book, found: Findings) -> None:
    acknowledged: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)  # (when, value)
    for entry in book.of(*WRITES):
        if entry.served:
            acknowledged[_read_as(entry)].append((entry.ended, entry.value or 0))
    for entry in book.of(*READS):
        if not entry.served:
            continue
        asked = entry.attempts[-1].at
        least = max((value for ended, value in acknowledged[entry.name] if ended <= asked), default=0)
        if entry.value is None or entry.value < least:
            found.stale_reads.append(f"{entry.kind} of {entry.name} at {asked:.2f} s: {entry.value}, not {least}")


def _read_as(entry: Entry) -> str:
    """The name under which a write is read again: registers by their own, created items by their worker's list."""
    return entry.name.rpartition("-")[0] + "-" if "-worker-" in entry.name else entry.name


def _look_at(entry: Entry, slow_seconds: float, found: Findings) -> None:
    what = f"{entry.kind} of {entry.name} at {entry.began:.2f} s"
    said = ", ".join(attempt.outcome + (f" ({attempt.flaw})" if attempt.flaw else "") for attempt in entry.attempts)
    if not entry.served:
        failed = {"sign_in": found.failed_sign_ins, "read": found.failed_reads, "list": found.failed_reads}
        failed.get(entry.kind, found.failed_writes).append(f"{what}: {said}")
    if entry.seconds > slow_seconds:
        found.slow_requests.append(f"{what}: {entry.seconds:.1f} s, {said}")
    for number, attempt in enumerate(entry.attempts):
        _explain(entry, number, attempt, found)


def _explain(entry: Entry, number: int, attempt: Attempt, found: Findings) -> None:
    if attempt.outcome in AGAIN:
        if attempt.flaw:
            found.bare_refusals[f"{attempt.outcome}: {attempt.flaw}"] += 1
        return
    if attempt.outcome == EXPECTED[entry.kind] and not attempt.flaw:
        return
    if attempt.outcome == NO_TOKEN or not attempt.outcome[:1].isdigit():
        return  # there was no answer
    if attempt.outcome == KEY_IN_USE and number:
        return  # an earlier attempt still runs
    found.unexplained[f"{entry.kind}: {attempt.outcome}" + (f": {attempt.flaw}" if attempt.flaw else "")] += 1

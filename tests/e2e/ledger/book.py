"""The book: every request of a run, every attempt at it and what was answered, with its time."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["create", "replace", "read", "list", "sign_in"]
WRITES: tuple[Kind, ...] = ("create", "replace")
READS: tuple[Kind, ...] = ("read", "list")


@dataclass
class Attempt:
    """One request on the wire. Times are seconds since the run began.

    `outcome` is the status, or the name of what ended the connection, or why nothing was sent.
    """

    at: float
    seconds: float
    outcome: str
    flaw: str = ""  # what makes the answer none that was stated: no problem document, no Retry-After, another's item


@dataclass
class Entry:
    """One thing that a worker wanted, with all attempts at it. `value` is what it wrote or, of a read, found."""

    kind: Kind
    name: str
    began: float
    value: int | None = None
    served: bool = False
    ended: float = 0.0
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long the worker waited, retries and pauses between them included."""
        return self.ended - self.began


class Book:
    """Entries of all workers in the order in which they ended; written to a file, line by line, where one is named."""

    def __init__(self, file: Path | None = None) -> None:
        """Begin an empty one."""
        self.entries: list[Entry] = []
        self._file = file
        self._lock = threading.Lock()
        self._began = time.monotonic()
        if file is not None:
            file.write_text("")

    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def add(self, entry: Entry) -> None:
        """Note what has ended, at once: a run that is killed leaves what it knew."""
        entry.ended = self.now()
        with self._lock:
            self.entries.append(entry)
            if self._file is not None:
                with self._file.open("a") as lines:
                    lines.write(json.dumps(asdict(entry)) + "\n")

    def of(self, *kinds: Kind) -> Iterator[Entry]:
        """The entries of these kinds."""
        with self._lock:
            entries = list(self.entries)
        return (entry for entry in entries if entry.kind in kinds)

"""How long the project's own commands take, noted when they were run: kept in commands.json.

`python -m tests.bench.commands --what "make up, when nothing changed" make up` runs a command, and writes down how long
it took under that name, in the place of what was there; docs/numbers.md has a table of all.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

FILE = Path(__file__).with_name("commands.json")


@dataclass(frozen=True)
class Noted:
    """What was found of a command, in the words of the README."""

    what: str
    found: str
    measured: str


def read(file: Path = FILE) -> list[Noted]:
    """All that are written down."""
    return [Noted(**entry) for entry in json.loads(file.read_text())]


def write(noted: Noted, file: Path = FILE) -> None:
    """Write one down, in the place of what it was before."""
    there = {one.what: one for one in read(file)} | {noted.what: noted}
    file.write_text(json.dumps([asdict(one) for one in there.values()], indent=1, ensure_ascii=False) + "\n")


def told(seconds: float) -> str:
    """As a reader wants it: `3 s`, `1 min 50 s`, from five minutes on `9 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{round(seconds / 60)} min" if minutes >= 5 or not rest else f"{minutes} min {rest} s"


def table(noted: list[Noted]) -> Iterator[str]:
    """Their part of the page."""
    yield from ("## What the project's own commands take", "", "| what | found once | measured |", "|---|---:|---|")
    yield from (f"| {one.what} | {one.found} | {one.measured} |" for one in noted)
    yield from (
        "",
        "- Noted from one run each, on a machine with two cores: no round of `make bench` repeats them.",
        "",
    )


def main() -> int:
    """Run, time, and write down; a command that fails is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.commands", description=__doc__, allow_abbrev=False)
    parser.add_argument("--what", required=True, help="under which name it is written down")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run")
    arguments = parser.parse_args()
    begin = time.monotonic()
    code = subprocess.run(arguments.command, check=False).returncode
    if code:
        print(f"error: {' '.join(arguments.command)} ended with code {code}: nothing is written down", file=sys.stderr)
        return code
    write(Noted(arguments.what, told(time.monotonic() - begin), datetime.now(UTC).date().isoformat()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What was made cheaper: the gateway of another checkout beside this one, in turn, kept in wins.json by hand.

`python -m tests.bench.wins --before ../before --on token limits --title "One packet an answer"` measures CPU a request
of both and writes the rounds down; docs/numbers.md has a table of all that were. It says something on a busy machine as
well, for what is compared is not time but what the kernel charged to each process.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.bench import gateway
from tests.bench.check import shown
from tests.bench.interval import ratio
from tests.bench.load import Target
from tests.bench.machine import cores
from tests.bench.runner import ROOT

FILE = Path(__file__).with_name("wins.json")
CONNECTIONS = 16
PROCESS_CLOCK = 2  # the low bits of a clock of a whole process (linux/posix-timers.h)


@dataclass(frozen=True)
class Win:
    """CPU a request in µs, round by round, before and after."""

    title: str
    on: list[str]
    measured: str
    before: list[float]
    after: list[float]


def read(file: Path = FILE) -> list[Win]:
    """All that are written down."""
    return [Win(**entry) for entry in json.loads(file.read_text())]


def table(wins: list[Win]) -> Iterator[str]:
    """Their part of the page."""
    yield from ("## What was made cheaper", "")
    yield "| what | gateway with | CPU µs a request before | after | after / before (95 %) | measured |"
    yield "|---|---|---:|---:|---:|---|"
    for win in wins:
        found = shown(ratio(win.after, win.before))
        figures = f"{median(win.before):.0f} | {median(win.after):.0f} | {found}"
        yield f"| {win.title} | {', '.join(win.on) or 'nothing on'} | {figures} | {win.measured} |"
    yield ""
    yield "- Both versions in turn in each round, on a machine that others used: the ratio says more than the figures."
    yield "- It is the mean of the rounds' ratios, figures are medians: the one need not be the quotient of the others."
    yield f"- `tests/bench/wins.py`, {CONNECTIONS} connections; each row is compared with the version before it."
    yield ""


def measure(before: Path, on: frozenset[str], rounds: int, seconds: float) -> tuple[list[float], list[float]]:
    """CPU a request of the gateway of another checkout, and of this one."""
    with ExitStack() as stack:
        around = stack.enter_context(gateway.surroundings())
        sides = []
        for tree in (before, ROOT):
            process = stack.enter_context(gateway.running(around, on, PYTHONPATH=str(tree.resolve())))
            target = Target(process.port, process.pids, around.requests, connections=CONNECTIONS)
            target.prove()
            target.run(1)
            sides.append((process.popen.pid, target))
        found: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds):
            for side in (0, 1) if number % 2 else (1, 0):
                pid, target = sides[side]
                used = _cpu(pid)
                requests = target.run(seconds)["requests"]
                found[side].append(round((_cpu(pid) - used) / requests * 1e6, 1))
        return found


def _cpu(pid: int) -> float:
    """Seconds that a process has used, all of its threads together; to the nanosecond, which /proc does not tell."""
    return time.clock_gettime((~pid << 3) | PROCESS_CLOCK)


def main() -> None:
    """Measure, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.wins", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the version before")
    parser.add_argument("--title", required=True, help="what was done")
    parser.add_argument("--on", nargs="*", default=[], choices=sorted(gateway.EVERYTHING_ON), help="what is on")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1)
    arguments = parser.parse_args()
    cores().claim()
    before, after = measure(arguments.before, frozenset(arguments.on), arguments.rounds, arguments.seconds)
    won = Win(arguments.title, arguments.on, time.strftime("%Y-%m-%d", time.gmtime()), before, after)
    written = [*(read() if FILE.exists() else []), won]
    FILE.write_text(json.dumps([asdict(win) for win in written], indent=1, ensure_ascii=False) + "\n")
    print("\n".join(table([won])))


if __name__ == "__main__":
    main()

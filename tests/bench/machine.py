"""The machine: which cores serve and which ask, what it is, and whether it is quiet enough to measure on."""

import functools
import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.questions import BenchError
from tests.bench.usage import Moment, Span

OTHERS_MAX = 0.15
"""How many cores others may have while something is measured."""
LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Cores:
    """Where what is measured runs, and where everything else does: client, database, upstream, this program."""

    server: int
    others: frozenset[int]

    def claim(self) -> None:
        """Keep this program, and all that it starts from here on, off the server's core."""
        os.sched_setaffinity(0, self.others)

    def pinned(self, command: list[str], cores: set[int] | None = None) -> list[str]:
        """The command on the server's core, or on others."""
        return ["taskset", "-c", ",".join(map(str, sorted(cores or {self.server}))), *command]


@functools.cache
def cores() -> Cores:
    """The last core that we may use serves; asked first before any is claimed. Raises BenchError when it is alone."""
    *others, server = sorted(os.sched_getaffinity(0))
    if not others:
        raise BenchError("one core is all there is: the client would take from the server what it measures")
    return Cores(server, frozenset(others))


def facts() -> dict[str, str | int | float]:
    """What a reader must know of the machine."""
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(int(memory["MemTotal"].split()[0]) / 1024 / 1024, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "system": _system(),
        "client": _first_line("wrk", "--version"),
        "nginx": _first_line("nginx", "-v"),
        "haproxy": _first_line("haproxy", "-v"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        return "not installed"
    said = (done.stdout + done.stderr).splitlines()
    return said[0].strip() if said else "unknown"


def wait_until_quiet(
    say: Callable[[str], None], *, patience_seconds: float = PATIENCE_SECONDS, look: Callable[[], Span] | None = None
) -> None:
    """Return once others leave the machine alone. Raises BenchError with what was seen when they do not in time."""
    look = look or watched
    deadline = time.monotonic() + patience_seconds
    while (seen := look()).others > OTHERS_MAX:
        if time.monotonic() >= deadline:
            raise BenchError(
                f"the machine is too busy to measure on: other processes use {seen.others:.2f} cores, and "
                f"{OTHERS_MAX} is the most that is allowed; `top` tells whose they are. BUSY=mark measures all the "
                "same and marks what it finds"
            )
        say(f"waiting: others use {seen.others:.2f} cores")


def watched(seconds: float = LOOK_SECONDS) -> Span:
    """What the machine does while we do nothing."""
    before = Moment.now()
    time.sleep(seconds)
    return Moment.now().since(before)

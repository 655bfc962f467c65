"""What processes and cores use, as the kernel counts it (proc(5))."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
LISTEN = "0A"
"""The state of a socket that listens, in /proc/net/tcp."""
IDLE = frozenset({3, 4, 8, 9})
"""Fields of a core's line in /proc/stat that are no work: idle, waiting, and guests, who are in user already.

Interrupts are work: the kernel's clock charges most of them to whoever was running."""


def family(*roots: int) -> set[int]:
    """These processes and all that descend from them, as far as they are alive."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children[int(fields[1])].append(int(folder.name))
    found: set[int] = set()
    todo = [root for root in roots if (PROC / str(root)).exists()]
    while todo:
        pid = todo.pop()
        found.add(pid)
        todo += children[pid]
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """What these processes have used, with the children that they have waited for."""
    ticks = 0
    for pid in pids:
        if fields := _stat(pid):
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def running_seconds(pids: Iterable[int]) -> float:
    """What the threads of these processes that live now have run, to the nanosecond (/proc/PID/schedstat).

    For stretches so short that the ticks of `cpu_seconds`, of ten milliseconds, would be seen in the result.
    """
    nanoseconds = 0
    for pid in pids:
        for thread in (PROC / str(pid) / "task").glob("*/schedstat"):
            try:
                nanoseconds += int(thread.read_text().split()[0])
            except OSError:  # it ended
                continue
    return nanoseconds / 1e9


def resident_mib(pids: Iterable[int]) -> float:
    """Memory of these processes, what they share counted once for each."""
    pages = 0
    for pid in pids:
        try:
            pages += int((PROC / str(pid) / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def listening(pids: Iterable[int], port: int) -> bool:
    """Whether one of these processes listens on a TCP port, and not somebody else who took it."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    for pid in pids:
        for file in (PROC / str(pid) / "fd").glob("*"):
            with suppress(OSError):  # it was closed
                if str(file.readlink()) in sockets:
                    return True
    return False


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold anything: the state is the first."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended
        return []


@dataclass(frozen=True)
class Moment:
    """What the cores and our own processes had used by a moment; seconds of CPU."""

    at: float
    busy: dict[int, float]
    """By core, with interrupts and with what the hypervisor took for others."""
    own: float

    @classmethod
    def now(cls) -> "Moment":
        """Read it all."""
        return cls(time.monotonic(), _busy(), cpu_seconds(family(os.getpid())))

    def since(self, earlier: "Moment") -> "Span":
        """What happened between two moments."""
        seconds = self.at - earlier.at
        busy = {core: (self.busy[core] - earlier.busy[core]) / seconds for core in self.busy}
        own = (self.own - earlier.own) / seconds
        return Span(seconds, busy, max(0.0, sum(busy.values()) - own))


@dataclass(frozen=True)
class Span:
    """A stretch of time: how busy each core was (0 to 1), and how many cores others than this benchmark had."""

    seconds: float
    busy: dict[int, float]
    others: float


def _busy() -> dict[int, float]:
    found = {}
    for line in (PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(field) for field in fields]
            found[int(name[3:])] = sum(ticks[kind] for kind in range(len(ticks)) if kind not in IDLE) / TICKS
    return found

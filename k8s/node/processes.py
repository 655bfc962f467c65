"""The node's own programs: started once, found again by their control group, stopped in order."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from k8s.node import files, paths
from k8s.node.cgroups import Cgroups
from k8s.node.commands import SBIN, Word, tail
from k8s.node.errors import NodeError

CGROUPS = Cgroups()
SIGNATURES = {"etcd": "etcd", "containerd": "containerd", "kubelet": "kubelet"}
"""Programs that say which node this is, when any part of it runs."""


def log_file(part: str) -> Path:
    """Where `part` writes."""
    return paths.logs() / f"{part}.log"


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def mains(part: str, program: str) -> list[int]:
    """The processes of `part` that run `program` (a file name); a shim of containerd is not containerd.

    Ids in a file would lie after a kill -9 between start and write, and after a reboot; the group does not.
    """
    found = []
    for pid in CGROUPS.processes(part):
        with contextlib.suppress(OSError):
            exe = str(Path(f"/proc/{pid}/exe").readlink()).removesuffix(" (deleted)")
            if Path(exe).name == program and alive(pid):
                found.append(pid)
    return found


def running(part: str) -> int | None:
    """The id of the part's main process, if it runs."""
    stamp = _stamp(part)
    pids = mains(part, Path(stamp["program"]).name) if stamp else []
    return pids[0] if pids else None


def inhabitant() -> int | None:
    """A process of the node, which is in the node's network; None when no part runs."""
    return next((pid for part, program in SIGNATURES.items() for pid in mains(part, program)), None)


def foreign_state() -> Path | None:
    """The state folder of a node that runs from another one than ours; its programs are not ours to end."""
    for part, program in SIGNATURES.items():
        for pid in mains(part, program):
            folder = Path(f"/proc/{pid}/cwd").readlink()  # where `start` put it
            if folder != paths.state().resolve() and folder.exists():
                return folder
    return None


def start(
    part: str, command: Sequence[Word], *, inputs: Iterable[Path] = (), env: dict[str, str] | None = None
) -> None:
    """Start `part` inside the node's network, unless it runs already from the same command and inputs.

    `inputs` are configuration files, keys and certificates; when one of them changed, the part restarts.
    """
    words = [str(word) for word in command]
    given = [f"{name}={value}" for name, value in (env or {}).items()]
    stamp = {"program": words[0], "hash": files.digest([*words, *given, *inputs])}
    pids = mains(part, Path(words[0]).name)
    if len(pids) == 1 and _stamp(part) == stamp:
        return
    end(pids, seconds=5)
    log = log_file(part)
    log.parent.mkdir(parents=True, exist_ok=True)
    clean = {"PATH": f"{Path(words[0]).parent}:/usr/bin:/bin:{SBIN}", "HOME": str(Path.home()), **(env or {})}
    with log.open("ab") as out:
        started = subprocess.Popen(
            [*CGROUPS.enter(part), *inside(), *words], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            cwd=paths.state(), env=clean, start_new_session=True,
        )  # fmt: skip
    files.write(_stamp_file(part), stamp)
    _wait_for_exec(started, part, Path(words[0]).name)


def _wait_for_exec(started: "subprocess.Popen[bytes]", part: str, program: str) -> None:
    """Until the words before the program have become the program, it would look as if it did not run."""
    deadline = time.monotonic() + 10
    while not mains(part, program) and started.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    started.returncode = started.poll() or 0  # it outlives this process on purpose: no warning about that


def inside() -> list[str]:
    """The words before a command that run it in the node's network.

    Not `ip netns exec`, which remounts /sys and hides the control groups.
    """
    return ["nsenter", f"--net=/run/netns/{paths.NAME}"]


def stop(part: str, seconds: float = 20) -> None:
    """End the part's main process and wait for it; etcd writes its last pages only when it may."""
    if pid := running(part):
        end([pid], seconds)


def end(pids: Iterable[int], seconds: float) -> None:
    """Ask processes to end, wait, and kill what is left."""
    left = set(pids)
    for how, grace in ((signal.SIGTERM, seconds), (signal.SIGKILL, 10.0)):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        deadline = time.monotonic() + grace
        while (left := {pid for pid in left if alive(pid)}) and time.monotonic() < deadline:
            time.sleep(0.05)


def end_all(seconds: float = 3) -> None:
    """End every process of the cluster, also those that start others while they go."""
    for how, grace in ((signal.SIGTERM, seconds), (signal.SIGKILL, 15.0)):
        deadline = time.monotonic() + grace
        while (left := everything()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
            time.sleep(0.2)
    if left := everything():
        raise NodeError(f"processes that do not end: {', '.join(map(str, sorted(left)))}; look at them with ps")


def everything() -> set[int]:
    """All live processes of the cluster, except this one."""
    return {pid for pid in CGROUPS.processes() if alive(pid)} - {os.getpid()}


def wait(what: str, probe: Callable[[], str], *, part: str | None = None, seconds: float = 90) -> None:
    """Wait until `probe` has no complaint (returns ""); else NodeError with the complaint and the log.

    When `part` is named, its death ends the wait at once.
    """
    deadline = time.monotonic() + seconds
    while why := _complaint(probe):
        if part and not running(part):
            why = f"{part} exited"
        elif time.monotonic() < deadline:
            time.sleep(0.2)
            continue
        else:
            why = f"not after {seconds:.0f} s: {why}"
        log = log_file(part) if part else None
        raise NodeError(f"{what}: {why}" + (f"; read {log}" if log else ""), details=tail(log) if log else "")


def _complaint(probe: Callable[[], str]) -> str:
    try:
        return probe()
    except (OSError, ValueError, KeyError, NodeError) as error:
        return str(error) or type(error).__name__


def _stamp_file(part: str) -> Path:
    return paths.run() / f"{part}.stamp"


def _stamp(part: str) -> dict[str, str] | None:
    try:
        found: dict[str, str] = json.loads(_stamp_file(part).read_text())
    except (OSError, ValueError):
        return None
    return found

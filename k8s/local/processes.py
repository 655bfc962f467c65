"""A background process that is known by a file, also after a crash or a reboot."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from k8s.local import paths
from k8s.local.errors import LocalError

START_SECONDS, STOP_SECONDS = 10, 5


@dataclass(frozen=True)
class Record:
    """A process that was started; `born` tells it from a later one with the same number, `code` what it runs."""

    pid: int
    born: str
    arguments: list[str]
    code: str = ""


def start(name: str, arguments: Sequence[str], log: Path) -> None:
    """Start `python -m k8s.local ARGUMENTS` detached, unless exactly that already runs, in the code of today."""
    now = running(name)
    if now and (now.arguments, now.code) == (list(arguments), code()):
        return
    stop(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "k8s.local", *arguments],
            cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    process.returncode = 0  # it outlives this one: nobody waits for it, and that is no mistake to warn of
    file = _file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(Record(process.pid, _born(process.pid), list(arguments), code()))))


def running(name: str) -> Record | None:
    """The process called `name` if it still lives."""
    try:
        record = Record(**json.loads(_file(name).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return record if record.born and _born(record.pid) == record.born else None


def stop(name: str) -> None:
    """End the process called `name` if it lives, and forget it."""
    record = running(name)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if record and running(name):
            os.kill(record.pid, number)
            _wait_until_gone(name)
    if running(name):
        raise LocalError(f"The {name} process {_pid(name)} does not end; see what holds it with ps.")
    _file(name).unlink(missing_ok=True)


def code() -> str:
    """A digest of the sources that such a process runs."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _wait_until_gone(name: str) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while running(name) and time.monotonic() < deadline:
        time.sleep(0.05)


def _pid(name: str) -> int:
    record = running(name)
    return record.pid if record else 0


def _born(pid: int) -> str:
    """This boot and the process's start in clock ticks since it (proc_pid_stat(5) field 22); "" for none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot}/{fields[19]}"


def _file(name: str) -> Path:
    return paths.state() / f"{name}.json"

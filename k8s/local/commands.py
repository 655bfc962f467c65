"""Run other programs, in the words of these commands; a failure becomes one sentence."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from k8s.local.errors import LocalError
from k8s.node import commands as node

Argument = node.Word


def run(*command: Argument, text: str | None = None, timeout: float = 60, env: Mapping[str, str] | None = None) -> str:
    """Run a command with `text` as its input and return what it printed.

    Raises NodeError with the end of its errors when it fails or takes longer than `timeout` seconds.
    """
    return node.run(command, text=text, timeout_seconds=timeout, env=env).stdout


def attempt(
    *command: Argument, text: str | None = None, timeout: float = 60, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail; only a missing program or a missed deadline raises NodeError."""
    return node.run(command, check=False, text=text, timeout_seconds=timeout, env=env)


def run_logged(log: Path, *command: Argument, timeout: float) -> None:
    """Run a long command with all its output in `log`; raises NodeError that names the log."""
    node.logged(command, log, node.brief([str(word) for word in command[:3]]), timeout_seconds=timeout)


def on_path(name: str) -> Path:
    """The program `name` of the user's PATH; raises LocalError when there is none."""
    found = shutil.which(name)
    if found is None:
        raise LocalError(f"{name} is not on PATH; install it.")
    return Path(found)


def last_line(text: str) -> str:
    """The last line that says something, without its full stop."""
    return node.last_line(text) or "it printed nothing"

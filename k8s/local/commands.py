"""Run other programs; a failure becomes one sentence."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from k8s.local.errors import LocalError

Argument = str | Path


def run(*command: Argument, text: str | None = None, timeout: float = 60, env: Mapping[str, str] | None = None) -> str:
    """Run a command with `text` as its input and return what it printed.

    Raises LocalError with the end of its errors when it fails or takes longer than `timeout` seconds.
    """
    result = attempt(*command, text=text, timeout=timeout, env=env)
    if result.returncode:
        raise LocalError(f"{_name(command)} failed: {last_line(result.stderr or result.stdout)}.")
    return result.stdout


def attempt(
    *command: Argument, text: str | None = None, timeout: float = 60, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail; only a missing program or a missed deadline raises LocalError."""
    try:
        return subprocess.run(
            [str(part) for part in command],
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError as error:
        raise LocalError(f"{command[0]} was not found; install it or put it on PATH.") from error
    except subprocess.TimeoutExpired as error:
        raise LocalError(f"{_name(command)} did not end within {timeout:.0f} s.") from error


def run_logged(log: Path, *command: Argument, timeout: float) -> None:
    """Run a long command with all its output in `log`; raises LocalError that names the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        try:
            result = subprocess.run(
                [str(part) for part in command], stdout=output, stderr=output, timeout=timeout, check=False
            )
        except FileNotFoundError as error:
            raise LocalError(f"{command[0]} was not found; install it or put it on PATH.") from error
        except subprocess.TimeoutExpired as error:
            raise LocalError(f"{_name(command)} did not end within {timeout:.0f} s; its log is {log}.") from error
    if result.returncode:
        raise LocalError(f"{_name(command)} failed: {last_line(log.read_text())}; its log is {log}.")


def on_path(name: str) -> Path:
    """The program `name` of the user's PATH; raises LocalError when there is none."""
    found = shutil.which(name)
    if found is None:
        raise LocalError(f"{name} is not on PATH; install it.")
    return Path(found)


def last_line(text: str) -> str:
    """The last line that says something, without its full stop."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it printed nothing"


def _name(command: tuple[Argument, ...]) -> str:
    verbs = [str(part) for part in command[1:] if not str(part).startswith("-")][:2]
    return " ".join([Path(command[0]).name, *verbs])

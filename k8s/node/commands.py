"""Running other programs and turning their failures into sentences."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from k8s.node.errors import NodeError

Word = str | Path
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where iptables, nft and their like live; not on every user's PATH."""


def search_path(*first: Path) -> str:
    """PATH with `first` in front and the administrators' folders at the end."""
    return ":".join([*map(str, first), os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"), SBIN])


def run(
    command: Sequence[Word],
    *,
    check: bool = True,
    text: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float | None = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and capture what it says; a failure raises NodeError when `check`."""
    words = [str(word) for word in command]
    full = {**os.environ, "PATH": search_path(), **(env or {})}
    try:
        done = subprocess.run(
            words, input=text, stdin=None if text is not None else subprocess.DEVNULL, cwd=cwd, env=full,
            text=True, errors="replace", capture_output=True, check=False, timeout=timeout_seconds,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise NodeError(f"{words[0]} is not installed: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise NodeError(f"`{brief(words)}` did not end within {timeout_seconds:.0f} s") from error
    if check and done.returncode:
        raise NodeError(f"`{brief(words)}` failed: {reason(done)}", details=done.stdout + done.stderr)
    return done


def logged(
    command: Sequence[Word],
    log: Path,
    what: str,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> None:
    """Run a long command with its output in `log`; a failure names the log and shows its end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    full = {**os.environ, "PATH": search_path(), **(env or {})}
    with log.open("w") as out:
        try:
            code = subprocess.run(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=cwd, env=full, check=False, timeout=timeout_seconds,
            ).returncode  # fmt: skip
        except FileNotFoundError as error:
            raise NodeError(f"{what} failed: {command[0]} is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise NodeError(f"{what} did not end within {timeout_seconds:.0f} s: read {log}", tail(log, 20)) from error
    if code:
        end = tail(log, 20)
        why = "the disk is full; free some space" if "no space left on device" in end.lower() else f"exit {code}"
        raise NodeError(f"{what} failed ({why}): read {log}", details=end)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, or that there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 65536))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return f"({log} does not exist)"


def brief(words: Sequence[str], limit: int = 120) -> str:
    """A command short enough for a sentence, without folders and without the cluster it names."""
    named = ("--kubeconfig=", "--kube-context=", "--context=")
    line = " ".join([Path(words[0]).name, *(word for word in words[1:] if not word.startswith(named))])
    return line if len(line) <= limit else f"{line[:limit]}..."


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """The last line a failed program said, which is nearly always the cause."""
    return last_line(done.stderr or done.stdout) or f"exit {done.returncode}"


def last_line(text: str) -> str:
    """The last line that says something, without its full stop; "" when none does."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else ""


def dying_with_us(command: Sequence[Word]) -> list[Word]:
    """The command, killed by the kernel when this process ends however it ends, where util-linux is there."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else list(command)

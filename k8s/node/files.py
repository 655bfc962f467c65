"""Files that are written whole or not at all, and locks between commands."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from k8s.node.errors import NodeError


def write(path: Path, content: str | dict[str, Any], mode: int = 0o644) -> None:
    """Write a text or a JSON object atomically, and only if it differs.

    kube-proxy exits when its file is written, even unchanged. A secret is never readable for a moment: the
    draft is made with its mode.
    """
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    if path.exists() and path.read_text() == text:
        if path.stat().st_mode & 0o777 != mode:
            path.chmod(mode)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # of a killed process that had our number
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.chmod(mode)  # whatever the umask is
    draft.replace(path)


MARK = ".slipway"
"""In every state folder that was made here: what is deleted again is never somebody's own."""


def claim(folder: Path, variable: str) -> None:
    """Make `folder` for this user alone and mark it; NodeError when somebody's files are in it.

    `variable` is the environment variable that named the folder, if any did.
    """
    if os.environ.get(variable) and folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise NodeError(
            f"{variable}={folder} holds files that are not Slipway's, and `down` deletes what it finds in a state"
            " folder: name a folder that is empty or does not exist"
        )
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / MARK).touch()


def is_claimed(folder: Path, variable: str) -> bool:
    """Whether `claim` made this folder, or its name alone says that it is ours."""
    return (folder / MARK).exists() or not os.environ.get(variable)


def release(folder: Path) -> None:
    """Remove the mark and the folder when nothing else is in it."""
    if folder.is_dir() and {entry.name for entry in folder.iterdir()} <= {MARK}:
        (folder / MARK).unlink(missing_ok=True)
        folder.rmdir()


def digest(parts: Iterable[str | bytes | Path]) -> str:
    """Twelve hex digits over texts and files' contents, each with its length so that none run together."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()[:12]


@contextmanager
def lock(path: Path, busy: str | None = None, *, shared: bool = False, holder: str = "") -> Iterator[None]:
    """Hold a lock that ends with this process, however it ends; `shared` with others that share it.

    When another holds it: wait, or raise NodeError with the sentence `busy` when given, in which `{holder}` is
    what the other one calls itself: `process 123`, or the `holder` it gave.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError as error:
            file.seek(0)
            raise NodeError((busy or "").format(holder=file.read().strip() or "another process")) from error
        file.truncate(0)
        file.write(holder or f"process {os.getpid()}")
        file.flush()
        yield

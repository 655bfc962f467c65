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

    kube-proxy exits when its file is written, even unchanged.
    """
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)


def digest(parts: Iterable[str | bytes | Path]) -> str:
    """Twelve hex digits over texts and files' contents, each with its length so that none run together."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()[:12]


@contextmanager
def lock(path: Path, busy: str | None = None) -> Iterator[None]:
    """Hold a lock that ends with this process, however it ends.

    When another holds it: wait, or raise NodeError with the sentence `busy` when given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError as error:
            file.seek(0)
            raise NodeError(f"{busy} (process {file.read().strip() or 'unknown'})") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield

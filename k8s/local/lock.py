"""One command at a time: two that change the same cluster would undo each other's work."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from k8s.local import paths
from k8s.local.errors import LocalError


@contextmanager
def exclusive(command: str) -> Iterator[None]:
    """Hold this user's lock; raises LocalError that names the command which holds it.

    The kernel drops the lock with the process, so a killed command leaves nothing to clean up.
    """
    file = paths.cache() / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "another command"
            raise LocalError(f"{holder} is at work on this cluster; wait for it or end it first.") from error
        lock.truncate(0)
        lock.write(f"`make {command}` (pid {os.getpid()})")
        lock.flush()
        yield

"""One command at a time: two that change the same cluster would undo each other's work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from k8s.local import paths
from k8s.node import files

BUSY = "{holder} is at work on this cluster; wait for it or end it first."


@contextmanager
def exclusive(command: str) -> Iterator[None]:
    """Hold this user's lock; raises NodeError that names the command which holds it.

    The kernel drops the lock with the process, so a killed command leaves nothing to clean up.
    """
    with files.lock(paths.cache() / "lock", BUSY, holder=f"`make {command}` (pid {os.getpid()})"):
        yield

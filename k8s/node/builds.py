"""Builds: in a control group of the node's, so that `down` ends what a killed command left of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k8s.node import files, paths, processes

BUSY = "{holder} builds or runs an image or a program: wait for it or end it first"


def lock_file() -> Path:
    """Held, together, by everybody who builds."""
    return paths.cache() / "builds.lock"


@contextmanager
def at_work() -> Iterator[None]:
    """Keep `down` away, which would end the build of another command."""
    with files.lock(lock_file(), shared=True):
        yield


@contextmanager
def none_at_work() -> Iterator[None]:
    """Keep builds away; NodeError when one is at work. The lock of a killed command is free."""
    with files.lock(lock_file(), BUSY):
        yield


def enter() -> list[str]:
    """The words before a command that start it in the group."""
    return processes.CGROUPS.enter("build")

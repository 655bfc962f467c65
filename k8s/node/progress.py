"""Lines that tell a waiting user what happens now, and how far it is."""

import sys
import time
from collections.abc import Callable

Progress = Callable[[str], None]
"""Takes one line without a newline."""


def printer() -> Progress:
    """Print each line with the seconds since now, at once also when piped."""
    begin = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begin:6.1f}s  {line}", flush=True, file=sys.stderr)

    return say


def silent(_line: str) -> None:
    """Say nothing."""

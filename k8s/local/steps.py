"""Tell a waiting user what happens now and how long it usually takes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k8s.local import paths
from k8s.node.progress import Progress

WORTH_SAYING_SECONDS = 3


@contextmanager
def step(progress: Progress, name: str, text: str) -> Iterator[None]:
    """Announce one step and remember how long it took, for the next time's announcement.

    `name` is what durations are kept under; `text` is what the user reads.
    """
    usual = _durations().get(name, 0)
    hint = f" (usually {usual:.0f} s)" if usual >= WORTH_SAYING_SECONDS else ""
    progress(f"{text}{hint}")
    begin = time.monotonic()
    yield
    seconds = time.monotonic() - begin
    if seconds >= WORTH_SAYING_SECONDS:  # a step that had nothing to do says nothing about its work
        _remember(name, seconds)


def _durations() -> dict[str, float]:
    try:
        return {str(name): float(seconds) for name, seconds in json.loads(_file().read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # none yet, or damaged: only hints are lost


def _remember(name: str, seconds: float) -> None:
    _file().parent.mkdir(parents=True, exist_ok=True)
    _file().write_text(json.dumps({**_durations(), name: round(seconds, 1)}))


def _file() -> Path:
    return paths.cache() / "durations.json"

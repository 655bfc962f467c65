"""What a request, or the whole process, spends its time on. One profile at a time, and for a bounded time."""

import cProfile
import io
import pstats
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

Form = Literal["html", "speedscope", "cprofile"]
FORMS: tuple[Form, ...] = get_args(Form)
MAX_SECONDS = 30.0
INTERVAL_SECONDS = 0.001  # between two looks at the stack
LINES = 60  # of a cProfile
TYPES = {"html": "text/html; charset=utf-8", "speedscope": "application/json", "cprofile": "text/plain; charset=utf-8"}


class BusyError(Exception):
    """Somebody has a profile taken already."""


@dataclass(frozen=True)
class Wanted:
    """A form, and whether only one request counts."""

    form: Form
    one_request: bool

    def __post_init__(self) -> None:
        """Refuse what cannot be had. Raises ValueError with a sentence."""
        if self.form not in FORMS:
            raise ValueError(f"format must be one of {' '.join(FORMS)}")
        if self.form != "cprofile" and find_spec("pyinstrument") is None:
            raise ValueError("pyinstrument is not installed here (the extra `profiling`); cprofile would do")


class Profile:
    """A profile that is being taken: begun and ended in the thread that it is about."""

    def __init__(self, wanted: Wanted) -> None:
        """Take what is wanted; nothing begins."""
        self.wanted = wanted
        self._profiler: Any = None

    def start(self) -> None:
        """Begin."""
        if self.wanted.form == "cprofile":
            self._profiler = cProfile.Profile()
            self._profiler.enable()
            return
        from pyinstrument import Profiler

        # "enabled" follows the context of one request through its awaits; "disabled" sees whatever the thread does
        mode: Literal["enabled", "disabled"] = "enabled" if self.wanted.one_request else "disabled"
        self._profiler = Profiler(interval=INTERVAL_SECONDS, async_mode=mode)
        self._profiler.start()

    def stop(self) -> None:
        """End."""
        if self.wanted.form == "cprofile":
            self._profiler.disable()
        elif self._profiler.is_running:
            self._profiler.stop()

    def render(self) -> bytes:
        """The document; takes a while, so it belongs into another thread."""
        if self.wanted.form == "cprofile":
            text = io.StringIO()
            pstats.Stats(self._profiler, stream=text).sort_stats("cumulative").print_stats(LINES)
            return text.getvalue().encode()
        from pyinstrument.renderers import HTMLRenderer, SpeedscopeRenderer

        renderer = HTMLRenderer() if self.wanted.form == "html" else SpeedscopeRenderer()
        return str(self._profiler.output(renderer)).encode()


class Profiling:
    """The one place of a process for a profile."""

    def __init__(self) -> None:
        """Nobody is there."""
        self._lock = threading.Lock()

    @contextmanager
    def place(self, wanted: Wanted) -> Generator[Profile]:
        """Have the place for as long as the block lasts. Raises BusyError."""
        if not self._lock.acquire(blocking=False):
            raise BusyError
        try:
            yield Profile(wanted)
        finally:
            self._lock.release()

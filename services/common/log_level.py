"""The level of the log, which an operator may change while the process runs; it goes back by itself."""

import threading
import time
from collections.abc import Mapping
from typing import get_args

from services.common.logging import acts, configure_logging
from services.common.settings import LogLevel

LEVELS: tuple[str, ...] = get_args(LogLevel)
USUAL_SECONDS, MAX_SECONDS = 600, 3600  # DEBUG that nobody turns off would fill a disk


class Level:
    """The level that was configured, and the one that counts now."""

    def __init__(self, service: str, configured: str) -> None:
        """Take what the process began with."""
        self._service = service
        self._configured = self._current = configured
        self._until: float | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def state(self) -> dict[str, object]:
        """What counts now, what was configured, and the seconds that are left."""
        left = None if self._until is None else round(max(0.0, self._until - time.monotonic()))
        return {"level": self._current, "configured": self._configured, "seconds_left": left}

    def change(self, wanted: Mapping[str, object], subject: str) -> dict[str, object]:
        """Have another level count for a while; the configured one ends that. Raises ValueError with a sentence."""
        level, seconds = _checked(wanted)
        with self._lock:
            self._forget_timer()
            before, self._current = self._current, level
            configure_logging(self._service, level)
            if level != self._configured:
                self._until = time.monotonic() + seconds
                self._timer = threading.Timer(seconds, self._go_back)
                self._timer.daemon = True
                self._timer.start()
        acts.warning("log_level_changed", level_before=before, level_now=level, seconds=seconds, subject=subject)
        return self.state()

    def _go_back(self) -> None:
        with self._lock:
            self._forget_timer()
            self._current = self._configured
            configure_logging(self._service, self._configured)
        acts.warning("log_level_restored", level_now=self._configured)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._until = None


def _checked(wanted: Mapping[str, object]) -> tuple[str, float]:
    if unknown := wanted.keys() - {"level", "seconds"}:
        raise ValueError(f"{min(unknown)} is not known; level and seconds are")
    level, seconds = wanted.get("level"), wanted.get("seconds", USUAL_SECONDS)
    if level not in LEVELS:
        raise ValueError(f"level must be one of {' '.join(LEVELS)}")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"seconds must be a number up to {MAX_SECONDS}")
    return str(level), float(seconds)

"""What an operator may do on the management port: see and change the log's level, have the process profiled."""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from services.common.log_level import Level
from services.common.logging import acts
from services.common.operators import Operators
from services.common.profiling import MAX_SECONDS, TYPES, BusyError, Profile, Profiling, Wanted

STEP_SECONDS = 3.0  # for the loop to begin or end a profile


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Operations:
    """Answers operators; None for everybody and everything else, which the port answers as a path that is not there."""

    def __init__(self, *, operators: Operators, level: Level, profiling: Profiling | None) -> None:
        """Take who they are and what they may do; no `profiling` where it is off."""
        self._operators = operators
        self._level = level
        self._profiling = profiling

    def answer(self, method: str, target: str, authorization: str, body: bytes) -> Reply | None:
        """Do what is asked; called from a thread of the port."""
        path, _, query = target.partition("?")
        known = {("GET", "/log-level"), ("PUT", "/log-level")} | ({("POST", "/profile")} if self._profiling else set())
        principal = self._operators.find(authorization) if (method, path) in known else None
        if principal is None:
            return None
        try:
            return self._do(method, path, query, body, principal.subject)
        except ValueError as error:
            return _told({"detail": f"{error}."}, 400)
        except BusyError:
            return _told({"detail": "A profile is being taken here already."}, 409)

    def _do(self, method: str, path: str, query: str, body: bytes, subject: str) -> Reply:
        if path == "/profile":
            return self._profile(dict(parse_qsl(query, keep_blank_values=True)), subject)
        return _told(self._level.state() if method == "GET" else self._level.change(_object(body), subject))

    def _profile(self, asked: Mapping[str, str], subject: str) -> Reply:
        if unknown := asked.keys() - {"seconds", "format"}:
            raise ValueError(f"{min(unknown)} is not known; seconds and format are")
        seconds = _seconds(asked.get("seconds", "5"))
        wanted = Wanted(asked.get("format", "html"), one_request=False)  # type: ignore[arg-type] # it checks
        assert self._profiling is not None  # noqa: S101 - the path is not there otherwise
        with self._profiling.place(wanted) as profile:
            acts.warning("process_profiled", subject=subject, form=wanted.form, seconds=seconds)
            if not self._on_the_loop(profile, "start"):
                return _told({"detail": "The event loop does not turn; /livez tells where it stands."}, 503)
            time.sleep(seconds)
            if not self._on_the_loop(profile, "stop"):
                return _told({"detail": "The event loop does not turn; /livez tells where it stands."}, 503)
            return Reply(200, profile.render(), TYPES[wanted.form])

    def _on_the_loop(self, profile: Profile, step: str) -> bool:
        """Begin or end it in the thread that it is about."""
        loop: asyncio.AbstractEventLoop | None = self._operators.loop
        done = threading.Event()

        def do() -> None:
            getattr(profile, step)()
            done.set()

        if loop is not None:
            loop.call_soon_threadsafe(do)
        return loop is not None and done.wait(STEP_SECONDS)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"seconds must be a number up to {MAX_SECONDS:g}")
    return seconds


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError('the body must be JSON such as {"level": "DEBUG", "seconds": 300}')  # noqa: TRY004 - of data
    return found


def _told(what: Mapping[str, object], status: int = 200) -> Reply:
    return Reply(status, json.dumps(what).encode() + b"\n")

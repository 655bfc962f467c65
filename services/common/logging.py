"""Logs as one JSON object a line, ours and the libraries' alike."""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any, cast

import orjson
import structlog
from opentelemetry import trace
from structlog.contextvars import merge_contextvars
from structlog.typing import ExcInfo, Processor, WrappedLogger

EventDict = MutableMapping[str, Any]
FIRST_FIELDS = ("timestamp", "level", "service", "event", "request_id", "trace_id")
DRIVER_MODULES = ("asyncpg.", "sqlalchemy.dialects.")
QUIET = {
    "authlib": "INFO",  # at DEBUG it prints whole tokens
    "uvicorn.access": "WARNING",
    "httpx2": "WARNING",
    "httpcore2": "WARNING",
    "watchfiles": "WARNING",
    "asyncio": "WARNING",
    "services.common.database_metrics": "WARNING",  # SQLAlchemy's pool, which logs under the name of our class
}

acts = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET))
"""For what operators do to a process: written whatever the level, which is one of the things that they change."""


class LineWriter:
    """The one place that writes to standard output: whole lines, one at a time, from any thread."""

    _lock = threading.Lock()

    def msg(self, line: bytes) -> None:
        """Write one line now."""
        with self._lock:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()

    debug = info = warning = error = critical = exception = log = msg


class LibraryHandler(logging.Handler):
    """Sends what libraries log through the standard module down our chain."""

    def __init__(self, chain: list[Processor]) -> None:
        """Take the processors; the last makes bytes."""
        super().__init__()
        self.chain = chain
        self.writer = LineWriter()

    def emit(self, record: logging.LogRecord) -> None:
        """Render one record; a record that cannot be rendered is reported by logging itself."""
        try:
            event: Any = {
                "event": record.getMessage(),
                "logger": record.name,
                "level": record.levelname.lower(),
            }
            if record.exc_info:
                event["exc_info"] = record.exc_info
            for process in self.chain:
                event = process(None, record.levelname.lower(), event)
            self.writer.msg(cast("bytes", event))
        except Exception:  # noqa: BLE001 - a log line must never break the request that wrote it
            self.handleError(record)


def configure_logging(service: str, level: str) -> None:
    """Send everything that this process logs to standard output, from `level` on."""

    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[Processor] = [
        merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        add_trace_id,
        structlog.processors.ExceptionRenderer(_format_exc_info),
        render,
    ]
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=lambda *_: LineWriter(),
        cache_logger_on_first_use=False,  # tests and reconfiguration see their own settings
    )
    root = logging.getLogger()
    root.handlers = [LibraryHandler([*shared])]  # a list of its own: whoever captures what we log empties ours
    root.setLevel(level)
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(max(logging.getLevelName(quiet), logging.getLevelName(level)))
    logging.captureWarnings(capture=True)


def exception_text(error: BaseException) -> str:
    """The stack of an error, without what the database's errors quote: rows and values."""
    text = "".join(traceback.format_exception(error))
    for link in _chain(error):
        origin = getattr(link, "orig", None)  # SQLAlchemy's, of an error of the driver's
        if (origin or type(link).__module__.startswith(DRIVER_MODULES)) and str(link):
            text = text.replace(str(link), f"SQLSTATE {getattr(origin or link, 'sqlstate', None)}")
    return text


def stack_text(error: BaseException) -> str:
    """Where an error and those it came from were raised: files, lines and classes, and not a word of what they say."""
    links = sorted(_chain(error), key=lambda link: link is error)
    return "\n".join(f"{_frames(link)}{type(link).__name__}" for link in links)


def _frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return "".join(f"{frame.filename}:{frame.lineno} {frame.name}\n" for frame in frames)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those it came from, the longest message first: one often quotes the next."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return iter(sorted(found, key=lambda link: -len(str(link))))


def _format_exc_info(exc_info: ExcInfo) -> str:
    return exception_text(exc_info[1]).rstrip("\n")


def add_trace_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Name the trace that is being recorded, if any; a request's own is known without asking."""
    if "trace_id" in event:
        return event
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
    return event


def render(_: WrappedLogger, __: str, event: EventDict) -> bytes:
    """One line of JSON. Line ends inside values are escaped, so nobody can forge a line of their own."""
    ordered = {name: event.pop(name) for name in FIRST_FIELDS if name in event} | dict(event)
    try:
        return orjson.dumps(ordered, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):  # lone surrogates, integers over 64 bits
        return json.dumps(ordered, default=repr).encode("ascii")

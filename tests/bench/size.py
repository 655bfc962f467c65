"""How long a service takes to import and to be ready, and what it holds in memory when nobody asks."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.bench import auth, gateway, items
from tests.bench.gateway import named
from tests.bench.machine import cores
from tests.bench.questions import Figures, InvalidRunError, Measure, Question, Ratio
from tests.bench.runner import ROOT, search_path
from tests.bench.servers import Running, uvicorn
from tests.bench.usage import family, resident_mib

BARE = "bare FastAPI"
IDLE_SECONDS = 1.0
IMPORT = "import time; begin = time.perf_counter(); import {module}; print((time.perf_counter() - begin) * 1000)"


@dataclass
class Started:
    """What stands ready for each service, and how it is started."""

    start: Mapping[str, Callable[[], AbstractContextManager[list[int]]]] = field(default_factory=dict)


@contextmanager
def everything() -> Generator[Started]:
    """What each service needs."""
    with ExitStack() as stack:
        of_items = stack.enter_context(items.stores(rows=1000))
        of_gateway = stack.enter_context(gateway.surroundings())
        of_auth = stack.enter_context(auth.databases())
        yield Started(
            {
                BARE: lambda: pids(uvicorn("tests.bench.apps.answers:app")),
                "items": lambda: pids(items.running(of_items)),
                "gateway": lambda: pids(gateway.running(of_gateway, gateway.EVERYTHING_ON)),
                "auth": lambda: pids(auth.running(of_auth)),
            }
        )


@contextmanager
def pids(started: AbstractContextManager[Running]) -> Generator[list[int]]:
    """The processes of what is started."""
    with started as running:
        yield running.pids()


@contextmanager
def started(around: Started, *, name: str, module: str) -> Generator[Measure]:
    """Import it in a Python that does nothing else, then start it and leave it alone for a moment."""

    def measure(_: float) -> Figures:
        imported = import_ms(module)
        begin = time.monotonic()
        with around.start[name]() as roots:
            ready = time.monotonic() - begin
            time.sleep(IDLE_SECONDS)
            return {"import_ms": imported, "ready_ms": ready * 1000, "memory_mib": resident_mib(family(*roots))}

    yield measure


def import_ms(module: str) -> float:
    """How long an import takes with its bytecode there."""
    command = cores().pinned([sys.executable, "-c", IMPORT.format(module=module)])
    env: dict[str, Any] = {"PATH": search_path(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise InvalidRunError(f"{module} cannot be imported: {done.stderr[-500:]}")
    return float(done.stdout)


MODULES = {
    BARE: "tests.bench.apps.answers",
    "items": "services.items.main",
    "gateway": "services.gateway.main",
    "auth": "services.auth.main",
}
QUESTIONS = (
    Question(
        name="start-up",
        group="size",
        asks="How long do the services take to import and to be ready, beside a bare FastAPI application?",
        environment=everything,
        sides={name: named(started, name=name, module=module) for name, module in MODULES.items()},
        ratios=tuple(
            Ratio(name, BARE, figure)
            for figure in ("import_ms", "ready_ms", "memory_mib")
            for name in MODULES
            if name != BARE
        ),
        notes=(
            "ready is when /readyz says so, keys, schema and revocations read; of the bare application when it listens",
            "memory is that of the idle process, pages that it shares with others counted in full",
            "readiness is looked at by the second of the service's own checks, so that it comes in steps",
        ),
        needs={"wrk": "wrk", "nginx": "nginx-light"},
    ),
)

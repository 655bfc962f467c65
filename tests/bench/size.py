"""How long a service takes to import and to be ready, what memory it holds, and how large its image is."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from k8s.node import paths
from tests.bench import auth, gateway, items
from tests.bench.gateway import named
from tests.bench.load import Request, Target
from tests.bench.machine import cores
from tests.bench.questions import Figures, InvalidRunError, Measure, Question, Ratio
from tests.bench.runner import ROOT, search_path
from tests.bench.servers import uvicorn
from tests.bench.usage import family, resident_mib

BARE = "bare FastAPI"
IDLE_SECONDS = 1.0
IMPORT = "import time; begin = time.perf_counter(); import {module}; print((time.perf_counter() - begin) * 1000)"
MIB = 1024 * 1024


@dataclass
class Started:
    """What stands ready for each service, and how it is started."""

    start: Mapping[str, Callable[[], AbstractContextManager[Target]]] = field(default_factory=dict)


@contextmanager
def everything() -> Generator[Started]:
    """What each service needs."""
    with ExitStack() as stack:
        of_items = stack.enter_context(items.stores(rows=1000))
        of_gateway = stack.enter_context(gateway.surroundings())
        of_auth = stack.enter_context(auth.databases())
        yield Started(
            {
                BARE: bare,
                "items": lambda: of_reads(of_items),
                "gateway": lambda: gateway.slipway_target(of_gateway, gateway.EVERYTHING_ON),
                "auth": lambda: of_tokens(of_auth),
            }
        )


@contextmanager
def bare() -> Generator[Target]:
    """An application that has nothing but routes."""
    with uvicorn("tests.bench.apps.answers:app") as running:
        yield Target(running.port, running.pids, (Request("/model"),))


@contextmanager
def of_reads(around: items.Stores) -> Generator[Target]:
    """Items, asked for single items."""
    with items.slipway_target(around, what="read") as (target, _management):
        yield target


@contextmanager
def of_tokens(around: auth.Stores) -> Generator[Target]:
    """Auth, asked for tokens of a client."""
    with auth.running(around) as running:
        yield auth.asked("auth", "token", running)


@contextmanager
def started(around: Started, *, name: str, module: str) -> Generator[Measure]:
    """Import it in a Python that does nothing else, then start it, leave it alone for a moment, and load it."""

    def measure(seconds: float) -> Figures:
        imported = import_ms(module)
        begin = time.monotonic()
        with around.start[name]() as target:
            ready = time.monotonic() - begin
            time.sleep(IDLE_SECONDS)
            idle = resident_mib(family(*target.pids()))
            loaded = replace(target, client_may_be_full=True).measure(seconds)
            return {
                "import_ms": imported,
                "ready_ms": ready * 1000,
                "memory_mib": idle,
                "loaded_mib": loaded.get("memory_mib", idle),
                "others_cores": loaded.get("others_cores", 0),
            }

    yield measure


def import_ms(module: str) -> float:
    """How long an import takes with its bytecode there."""
    command = cores().pinned([sys.executable, "-c", IMPORT.format(module=module)])
    env: dict[str, Any] = {"PATH": search_path(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise InvalidRunError(f"{module} cannot be imported: {done.stderr[-500:]}")
    return float(done.stdout)


@contextmanager
def image(_: Any, *, service: str) -> Generator[Measure]:
    """The image of a service that was pushed last."""

    def measure(_: float) -> Figures:
        mine = layers(service)
        shared = set.intersection(*(set(layers(other)) for other in MODULES if other != BARE))
        return {
            "image_mib": sum(mine.values()) / MIB,
            "own_mib": sum(size for digest, size in mine.items() if digest not in shared) / MIB,
        }

    yield measure


def layers(service: str, storage: Path | None = None) -> dict[str, int]:
    """The compressed bytes of each layer, by its digest, as the node's registry keeps it on disk.

    Raises InvalidRunError where no image is.
    """
    registry = (storage or paths.state() / "registry") / "docker" / "registry" / "v2"
    tags = sorted(
        (registry / "repositories" / "slipway" / service / "_manifests" / "tags").glob("*/current/link"),
        key=lambda link: link.stat().st_mtime,
    )
    if not tags:
        raise InvalidRunError(
            f"the node's registry has no image of {service}: `make up` builds it where no Docker answers, and "
            "`docker image ls` tells sizes where one does"
        )
    kind, _, digest = tags[-1].read_text().strip().partition(":")
    manifest = json.loads((registry / "blobs" / kind / digest[:2] / digest / "data").read_bytes())
    return {layer["digest"]: layer["size"] for layer in manifest["layers"]}


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
        asks="How long do the services take to import and to be ready, and what memory do they hold?",
        environment=everything,
        sides={name: named(started, name=name, module=module) for name, module in MODULES.items()},
        ratios=tuple(
            Ratio(name, BARE, figure)
            for figure in ("import_ms", "ready_ms", "memory_mib", "loaded_mib")
            for name in MODULES
            if name != BARE
        ),
        rounds=4,
        seconds=2,
        start_seconds=12,
        side_seconds=8,
        notes=(
            "ready is when /readyz says so, keys, schema and revocations read; of the bare application when it listens",
            "memory is that of the idle process, and right after a full load; pages shared with others count in full",
            "readiness is looked at by the second of the service's own checks, so that it comes in steps",
        ),
        needs={"wrk": "wrk", "nginx": "nginx-light"},
    ),
    Question(
        name="images",
        group="size",
        asks="How large are the images?",
        sides={name: named(image, service=name) for name in MODULES if name != BARE},
        rounds=1,
        seconds=1,
        start_seconds=0,
        side_seconds=1,
        notes=(
            "compressed, as a node pulls them: those that `make up` pushed last to the node's registry",
            "its own is what no other service's image has; the rest is pulled once for all of them",
        ),
    ),
)

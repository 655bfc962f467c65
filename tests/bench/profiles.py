"""Where a request's time goes: stacks of the server, sampled from outside while it is loaded, told by layer."""

import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from tests.bench.load import Target
from tests.bench.questions import Figures, InvalidRunError
from tests.bench.runner import search_path

RATE = 400
"""Samples a second. The sampler stops the process for each, which lengthens a request by some percent."""
LAYER = "layer: "
SERVER = "server"
LAYERS: dict[str, tuple[str, ...]] = {
    "telemetry": (
        "/prometheus_", "/opentelemetry/", "/structlog/", "/logging/", "common/metrics", "common/logging",
        "common/tracing", "gateway/metrics",
    ),
    "token check": (
        "/joserfc/", "/cryptography/", "common/tokens", "common/security", "common/jwks", "common/revocations",
        "gateway/tokens",
    ),
    "limits": ("gateway/limits", "common/limits", "common/redis_limits", "common/state_limits", "gateway/quotas"),
    "Redis": ("/redis/", "items/cache", "items/scripts", "items/breaker", "common/redis", "common/breaker"),
    "Postgres": (
        "/sqlalchemy/", "/asyncpg/", "/sqlmodel/", "/greenlet", "common/postgres", "items/repository", "common/apart",
    ),
    "validation": ("fastapi/dependencies/", "/pydantic", "common/bodies", "items/schemas", "items/dependencies"),
    "serialisation": ("fastapi/encoders", "fastapi/_compat", "starlette/responses"),
    "middleware": (
        "common/middleware", "common/body_limit", "common/methods", "gateway/edge", "starlette/middleware",
        "fastapi/middleware", "/applications.py", "common/addresses",
    ),
    "routing": ("starlette/routing", "fastapi/routing", "items/router", "fastapi/concurrency"),
    "forwarding": ("services/gateway/",),
    "service": ("services/items/",),
    SERVER: ("/uvicorn/", "common/protocol", "common/server", "/asyncio/"),
}  # fmt: skip
"""By the paths of source files; the deepest frame of a stack that one of them claims decides."""
OTHER = "other"
THREAD = "_bootstrap "
"""The outermost frame of every thread but the first."""


def measure(target: Target, seconds: float) -> Figures:
    """CPU of one request in µs, without the sampler, and by layer as the samples share it out.

    Samples tell shares and no times: the sampler counts a thread that waits for its core as one that has it. Raises
    InvalidRunError for no samples.
    """
    whole = target.measure(seconds)
    if not seconds:
        return whole
    done: list[dict[str, float]] = []
    load = threading.Thread(target=lambda: done.append(target.run(seconds + 2)))
    load.start()
    try:
        by_layer = split(record(target.pids()[0], seconds))
    finally:
        load.join()
    if not done or not by_layer:
        raise InvalidRunError("the load of the profile failed" if not done else "there was not one sample")
    each = whole["cpu_us"] / by_layer.total()
    return {
        "cpu_us": whole["cpu_us"],
        "others_cores": whole["others_cores"],
        **{LAYER + name: count * each for name, count in by_layer.items()},
    }


def record(pid: int, seconds: float) -> list[tuple[str, int]]:
    """Stacks of a process, outermost frame first, each with how often it was seen."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        file = Path(folder) / "stacks"
        program = Path(sys.executable).with_name("py-spy")
        command = [str(program), "record", "--pid", str(pid), "--duration", f"{seconds:.0f}", "--rate", str(RATE)]
        done = subprocess.run(
            [*command, "--format", "raw", "--full-filenames", "--output", str(file)],
            env={"PATH": search_path()},
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=False,
        )
        if done.returncode or not file.exists():
            raise InvalidRunError(f"py-spy could not look into the process: {done.stderr.strip()[-500:]}")
        lines = [line.rpartition(" ") for line in file.read_text().splitlines()]
    return [(stack, int(count)) for stack, _, count in lines]


def split(stacks: list[tuple[str, int]]) -> Counter[str]:
    """How many samples were of each layer, of the thread that serves.

    The sampler takes some threads that wait for work, and the management port's, for busy.
    """
    found: Counter[str] = Counter()
    for stack, count in stacks:
        if THREAD not in stack.partition(";")[0]:
            found[layer(stack)] += count
    return found


def layer(stack: str) -> str:
    """The layer that the deepest frame known to one belongs to."""
    for frame in reversed(stack.split(";")):
        for name, paths in LAYERS.items():
            if any(path in frame for path in paths):
                return name
    return OTHER

"""What is said of FastAPI everywhere, with numbers and without sources: measured."""

import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.bench import proxies
from tests.bench.gateway import named
from tests.bench.load import Request, Target
from tests.bench.questions import Measure, Question, Ratio
from tests.bench.servers import process, uvicorn
from tests.support.servers import postgres_server

NEEDS = {"wrk": "wrk"}
APPS = "tests.bench.apps"


@contextmanager
def app(_: Any, *, module: str, path: str, **options: Any) -> Generator[Measure]:
    """One path of an application under uvicorn; words in capitals are its environment."""
    env = {name: str(value) for name, value in options.items() if name.isupper()}
    rest = {name: value for name, value in options.items() if not name.isupper()}
    headers = rest.pop("headers", {})
    with uvicorn(f"{APPS}.{module}:app", *rest.pop("flags", ()), env=env) as running:
        yield Target(running.port, running.pids, (Request(path, headers=headers),), **rest).measure


def layered(path: str, counts: Sequence[int], **rest: Any) -> dict[str, Any]:
    """No layer, then so many of each kind."""
    none = {"0": named(app, module="layers", path=path, LAYERS=0, KIND="pure", **rest)}
    return none | {
        f"{count} {kind}": named(app, module="layers", path=path, LAYERS=count, KIND=kind, **rest)
        for count in counts
        for kind in ("pure", "base")
    }


def layer_ratios(counts: Sequence[int], figure: str = "requests_per_s") -> tuple[Ratio, ...]:
    """What the kinds are to each other, and what each costs."""
    pairs = [(f"{count} pure", f"{count} base") for count in counts]
    pairs += [(f"{counts[-1]} pure", "0"), (f"{counts[-1]} base", "0")]
    return tuple(Ratio(*pair, figure) for pair in pairs)


MIDDLEWARE = (
    Question(
        name="middleware",
        asks="Is pure ASGI middleware '20 to 30 % faster' than BaseHTTPMiddleware?",
        sides=layered("/cheap", (1, 3, 5)),
        ratios=layer_ratios((1, 3, 5)),
        rounds=4,
        seconds=2,
        notes=("the route answers at once: the most that the difference can be", "each layer adds one header"),
        needs=NEEDS,
    ),
    Question(
        name="middleware-slow",
        asks="And before a route that waits for five milliseconds?",
        sides=layered("/slow", (1, 3, 5), connections=2),
        ratios=layer_ratios((1, 3, 5), "p50_ms"),
        rounds=4,
        seconds=2,
        notes=("two clients, so that the route and not the processor is what they wait for",),
        needs=NEEDS,
    ),
)


@contextmanager
def database() -> Generator[str]:
    """A Postgres that is asked for nothing but to wait."""
    with postgres_server() as server:
        yield server.url


@contextmanager
def waiting(url: str, *, how: str, milliseconds: float) -> Generator[Measure]:
    """64 clients, 40 connections to the database."""
    env = {"DATABASE_URL": url, "HOW": how, "DATABASE_SECONDS": milliseconds / 1000}
    with app(None, module="waiting", path=f"/{how}", connections=64, **env) as measure:
        yield measure


WAITING = tuple(
    Question(
        name=f"async-{milliseconds}ms",
        asks=f"Is async quicker than the same code in threads, when the database takes {milliseconds} ms?",
        environment=database,
        sides={how: named(waiting, how=how, milliseconds=milliseconds) for how in ("async", "threads")},
        ratios=(Ratio("async", "threads"), Ratio("async", "threads", "requests_per_cpu_s")),
        short=milliseconds == 5,
        rounds=4,
        seconds=2,
        notes=("one driver, psycopg, in both of its modes; 64 clients, 40 connections, FastAPI's 40 threads",),
        needs=NEEDS,
    )
    for milliseconds in (0, 5, 20)
)


@contextmanager
def served(_: Any, *, words: Sequence[str]) -> Generator[Measure]:
    """The same application under a server: HOST and PORT stand for what it is told."""

    def command(_: Path, port: int) -> list[str]:
        return [sys.executable, "-m", *(word.replace("PORT", str(port)) for word in words)]

    with process(command) as running:
        yield Target(running.port, running.pids, (Request("/ping"),)).measure


ANSWERS = f"{APPS}.answers:app"
UVICORN = ["uvicorn", ANSWERS, "--host", "127.0.0.1", "--port", "PORT", "--no-access-log", "--log-level", "warning"]
GUNICORN = ["gunicorn", ANSWERS, "-k", "uvicorn_worker.UvicornWorker", "-b", "127.0.0.1:PORT", "--log-level", "warning"]
GRANIAN = ["granian", ANSWERS, "--interface", "asgi", "--host", "127.0.0.1", "--port", "PORT", "--no-access-log"]
SERVERS = Question(
    name="servers",
    asks="Uvicorn alone, under Gunicorn, or Granian: which serves one worker's requests quickest?",
    sides={
        "uvicorn": named(served, words=UVICORN),
        "gunicorn, 1 worker": named(served, words=[*GUNICORN, "-w", "1"]),
        "gunicorn, 4 workers": named(served, words=[*GUNICORN, "-w", "4"]),
        "granian": named(served, words=[*GRANIAN, "--workers", "1", "--log-level", "warning"]),
    },
    ratios=tuple(Ratio(name, "uvicorn") for name in ("gunicorn, 1 worker", "gunicorn, 4 workers", "granian")),
    rounds=4,
    seconds=2,
    notes=("all have the same one core: four workers share it, as in a pod that is limited to one",),
    needs=NEEDS,
)
CLOSING = Question(
    name="keep-alive",
    asks="What does a new connection for each request cost?",
    sides={
        "kept": named(app, module="answers", path="/ping"),
        "closed": named(app, module="answers", path="/ping", headers={"Connection": "close"}),
    },
    ratios=(Ratio("kept", "closed"),),
    rounds=4,
    seconds=2,
    notes=("on loopback and without TLS, where a connection costs least",),
    needs=NEEDS,
)
PATHS = {
    "models": "/model",
    "rows to models": "/rows",
    "plain JSON": "/json",
    "models dumped": "/dump",
    "ready bytes": "/bytes",
    "20 parts": "/stream",
    "20 parts, thread": "/stream-thread",
}
RESPONSES = Question(
    name="responses",
    asks="How much does the way of an answer matter, for twenty items?",
    sides={name: named(app, module="answers", path=path, client_may_be_full=True) for name, path in PATHS.items()},
    ratios=tuple(Ratio(name, "models", "cpu_us") for name in PATHS if name != "models"),
    rounds=4,
    seconds=2,
    notes=("CPU of the server for each answer is compared: parts come to the client one by one, and keep it busy",),
    needs=NEEDS,
)
HASHING = Question(
    name="argon2",
    asks="What does hashing ten passwords a second do to everybody else, on the loop and in a thread?",
    sides={
        where: named(app, module="hashing", path="/ping", rate=100, WHERE=where) for where in ("none", "loop", "thread")
    },
    ratios=(Ratio("loop", "thread", "p99_ms"), Ratio("thread", "none", "p99_ms")),
    short=True,
    rounds=4,
    notes=("auth's own parameters of Argon2id; 100 requests a second for something cheap are measured",),
    needs=NEEDS,
)


@contextmanager
def behind_nginx(_: Any, *, processes: int, workers: int, together: bool = False) -> Generator[Measure]:
    """So many processes of so many workers behind nginx: on the client's cores, or `together` on the server's."""
    with ExitStack() as stack:
        flags = ["--workers", str(workers)] if workers > 1 else []
        running = [stack.enter_context(uvicorn(ANSWERS, *flags)) for _ in range(processes)]
        front = stack.enter_context(proxies.balancing([one.port for one in running], measured=together))

        def pids() -> list[int]:
            ours = [pid for one in running for pid in one.pids()]
            return [*ours, *front.pids()] if together else ours

        yield Target(front.port, pids, (Request("/model"),)).measure


SCALING = Question(
    name="workers",
    asks="One pod with n workers, or n pods with one, on the same core?",
    sides={
        "1 x 1": named(behind_nginx, processes=1, workers=1),
        "1 x 2": named(behind_nginx, processes=1, workers=2),
        "2 x 1": named(behind_nginx, processes=2, workers=1),
        "1 x 4": named(behind_nginx, processes=1, workers=4),
        "4 x 1": named(behind_nginx, processes=4, workers=1),
    },
    ratios=(
        Ratio("2 x 1", "1 x 2"),
        Ratio("2 x 1", "1 x 2", "p99_ms"),
        Ratio("4 x 1", "1 x 4"),
        Ratio("4 x 1", "1 x 4", "p99_ms"),
        Ratio("4 x 1", "1 x 4", "memory_mib"),
        Ratio("1 x 2", "1 x 1"),
    ),
    rounds=4,
    seconds=2,
    notes=("pods x workers; nginx stands in front of all, on the client's cores, and balances by turns",),
    needs=NEEDS | {"nginx": "nginx-light"},
)
FRONT = Question(
    name="nginx-in-front",
    asks="What does nginx in front of uvicorn cost or bring, on the same core?",
    sides={
        "uvicorn": named(app, module="answers", path="/model"),
        "nginx before uvicorn": named(behind_nginx, processes=1, workers=1, together=True),
    },
    ratios=(Ratio("nginx before uvicorn", "uvicorn"),),
    rounds=4,
    seconds=2,
    needs=NEEDS | {"nginx": "nginx-light"},
)

QUESTIONS = (*MIDDLEWARE, *WAITING, SERVERS, CLOSING, FRONT, SCALING, RESPONSES, HASHING)

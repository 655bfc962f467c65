"""Where the gateway stops being flat: more connections, principals, routes, pods, and larger bodies either way."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench import gateway, proxies, rows
from tests.bench.gateway import named
from tests.bench.load import Request
from tests.bench.questions import Measure, Question, Ratio

NEEDS = {"wrk": "wrk", "nginx": "nginx-light"}
CONNECTIONS = ("1", "4", "16", "64", "256", "1000")
PRINCIPALS = ("1", "10", "100", "1000")
SIZES = ("100", "1000", "10000", "100000", "1000000", "10000000")
ROUTES = ("1", "10", "100", "1000")
PODS = ("1", "2", "4", "8", "16")
BARE: frozenset[str] = frozenset()
BY_PARTS = {
    "cpu_us": "a body goes through in parts, each read and written by itself, while a head costs the same for any size",
    "p50_ms": "a body goes through in parts, and those of eight connections take turns on one core",
    "memory_mib": "parts that were read and not yet written are held, up to a bound for each connection",
}


@contextmanager
def connected(around: gateway.Surroundings, *, connections: str) -> Generator[Measure]:
    """The gateway with everything on, asked by so many connections."""
    with gateway.slipway_target(around, gateway.EVERYTHING_ON) as target:
        yield replace(target, connections=int(connections)).measure


@contextmanager
def known(around: gateway.Surroundings, *, principals: str) -> Generator[Measure]:
    """The gateway with everything on, asked by so many principals in turn."""
    with gateway.slipway_target(around, gateway.EVERYTHING_ON) as target:
        yield replace(target, requests=around.requests[: int(principals)]).measure


@contextmanager
def sized(around: gateway.Surroundings, *, size: str) -> Generator[Measure]:
    """The bare gateway before files of so many bytes."""
    path = f"v1/items/{size}"
    with (
        proxies.files({path: int(size)}) as upstream,
        gateway.slipway_target(replace(around, upstream=upstream), BARE) as target,
    ):
        requests = (Request(f"/{path}", headers={"Accept": "*/*"}),)

        def whole(body: bytes) -> bool:
            return len(body) == int(size)

        yield replace(target, requests=requests, connections=8, body=whole, client_may_be_full=True).measure


@contextmanager
def uploaded(around: gateway.Surroundings, *, size: str) -> Generator[Measure]:
    """The bare gateway, sent so many bytes."""
    with (
        proxies.reader() as upstream,
        gateway.slipway_target(replace(around, upstream=upstream), BARE) as target,
    ):
        requests = (Request("/v1/items", "POST", {"Accept": "*/*"}, b"x" * int(size)),)
        yield replace(target, requests=requests, connections=8, client_may_be_full=True).measure


@contextmanager
def routed(around: gateway.Surroundings, *, routes: str) -> Generator[Measure]:
    """The bare gateway with so many routes; the one that is asked for has the shortest path."""
    route = {"upstream": f"http://127.0.0.1:{around.upstream.port}", "public": True, "limits": []}
    table = {"/v1/items": route} | {f"/v1/others-{number}": route for number in range(int(routes) - 1)}
    with gateway.running(around, BARE, ROUTES=json.dumps(table)) as process:
        yield gateway.target(around, process).measure


@contextmanager
def spread(around: gateway.Surroundings, *, pods: str) -> Generator[Measure]:
    """The bare gateway before so many addresses of one name."""
    addresses = [f"127.0.0.{number}" for number in range(1, int(pods) + 1)]
    with TemporaryDirectory(prefix="slipway-bench-") as folder, proxies.upstream(addresses) as upstream:
        names = Path(folder) / "dns"
        names.write_text("\n".join(addresses))
        route = {"upstream": f"http://pods.test:{upstream.port}", "public": True, "limits": []}
        env = {"DNS_FILE": str(names), "ROUTES": json.dumps({"/v1/items": route}), "SLOW_START_SECONDS": "0"}
        with gateway.running(around, BARE, module="tests.gateway.standing", **env) as process:
            yield gateway.target(around, process).measure


def question(name: str, asks: str, side: Any, sides: tuple[str, ...], word: str, **rest: Any) -> Question:
    """One curve of the gateway; `word` is what the side calls the number that grows."""
    given: dict[str, Any] = {
        "environment": gateway.surroundings,
        "axis": word,
        "curve": "cpu_us",
        "flat": ("cpu_us", "memory_mib"),
        "rounds": 4,
        "seconds": 2,
        "ratios": (Ratio(sides[-1], sides[0], "cpu_us"),),
    } | rest
    return Question(
        name=name,
        group="curves",
        asks=asks,
        sides={number: named(side, **{word: number}) for number in sides},
        needs=NEEDS,
        **given,
    )


QUESTIONS = (
    question(
        "gateway-connections",
        "What do more connections do to the gateway?",
        connected,
        CONNECTIONS,
        "connections",
        curve="requests_per_s",
        flat=("requests_per_s", "p99_ms", "cpu_us", "memory_mib"),
        ratios=(Ratio("1000", "16", "cpu_us"), Ratio("1000", "16", "memory_mib")),
        notes=("the gateway with everything on; with one connection it waits for its client, with more it never does",),
        why={
            "requests_per_s": "an open connection costs something too, which CPU µs a request tells where it grows",
            "p99_ms": "under full load all connections but one wait for their turn, so that it grows with their number",
            "cpu_us": "more of them take turns, and less of what each needs is still in the processor's caches",
            "memory_mib": "each connection has its buffers and its request's objects",
        },
    ),
    question(
        "gateway-principals",
        "And more principals under limits?",
        known,
        PRINCIPALS,
        "principals",
        environment=named(gateway.surroundings, principals=int(PRINCIPALS[-1])),
        notes=("the gateway with everything on; all have one limit each, and share one by address",),
        why={
            "cpu_us": "a principal's first request has its token checked, and the others find it among more",
            "memory_mib": "each principal's token is remembered",
        },
    ),
    question(
        "gateway-sizes",
        "And larger answers?",
        sized,
        SIZES,
        "size",
        axis="bytes",
        curve="p50_ms",
        flat=("cpu_us", "p50_ms", "memory_mib"),
        notes=("the bare gateway; bytes of an answer's body; 8 connections; nginx sends files",),
        why=BY_PARTS,
    ),
    question(
        "gateway-uploads",
        "And larger requests?",
        uploaded,
        SIZES,
        "size",
        axis="bytes",
        curve="p50_ms",
        flat=("cpu_us", "p50_ms", "memory_mib"),
        notes=("the bare gateway; bytes of a request's body; 8 connections; nginx reads all of it before it answers",),
        why=BY_PARTS,
    ),
    question(
        "gateway-routes",
        "And more routes?",
        routed,
        ROUTES,
        "routes",
        notes=("the bare gateway; all routes lead to one upstream, and the one that is asked has the shortest path",),
        why={
            "cpu_us": "a table that no longer fits the processor's caches",
            "memory_mib": "each route has its own settings and limits, built at the start",
        },
    ),
    question(
        "gateway-pods",
        "And more pods behind it?",
        spread,
        PODS,
        "pods",
        notes=("all addresses are one nginx: the choice among them is measured, and a pool of connections for each",),
        why={
            "cpu_us": "each choice looks at all pods, and each pod's connections are used less often",
            "memory_mib": "each pod has connections of its own, with their buffers",
        },
    ),
    *rows.QUESTIONS,
)

"""Where the gateway stops being flat: more connections, principals, routes, pods, and larger answers."""

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
def routed(around: gateway.Surroundings, *, routes: str) -> Generator[Measure]:
    """The bare gateway with so many routes; the one that is asked for is looked at last."""
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
        "rounds": 3,
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
        notes=(
            "why requests/s rise first: one connection waits for its own answer, with more the server never waits",
            "why p99 rises: under full load all connections but one wait for their turn, so that it grows with them",
            "why memory rises: each connection has its buffers and its request's objects",
        ),
    ),
    question(
        "gateway-principals",
        "And more principals under limits?",
        known,
        PRINCIPALS,
        "principals",
        environment=named(gateway.surroundings, principals=int(PRINCIPALS[-1])),
        notes=("why: a token is checked once and then known, so that its first request is what each principal adds",),
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
        notes=(
            "bytes of the body; 8 connections; nginx sends files",
            "why: each part that comes from upstream is read and written by itself; the first has the headers' cost",
        ),
    ),
    question(
        "gateway-routes",
        "And more routes?",
        routed,
        ROUTES,
        "routes",
        notes=("why: routes are looked at one after the other, and the one that is asked for is the last of them",),
    ),
    question(
        "gateway-pods",
        "And more pods behind it?",
        spread,
        PODS,
        "pods",
        notes=(
            "all addresses are one nginx: the choice among them is measured, and a pool of connections for each",
            "why: one of two pods is chosen, after a look at the weight of each",
        ),
    ),
    *rows.QUESTIONS,
)

"""Where cost stops being flat: more connections, more principals, more rows."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tests.bench import gateway, items
from tests.bench.gateway import named
from tests.bench.load import Request
from tests.bench.questions import Measure, Question, Ratio

NEEDS = {"wrk": "wrk", "nginx": "nginx-light"}
CONNECTIONS = ("1", "4", "16", "64", "256", "1000")
PRINCIPALS = ("1", "10", "100", "1000")
ROWS = ("1000", "10000", "100000")


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
def filled(_: Any, *, rows: str, query: str) -> Generator[Measure]:
    """Items with so many rows of one owner."""
    with items.stores(rows=int(rows)) as around, items.slipway_target(around, what="list") as (target, _management):
        (request,) = target.requests
        yield replace(target, requests=(Request(f"/v1/items?{query}", headers=request.headers),)).measure


QUESTIONS = (
    Question(
        name="gateway-connections",
        group="curves",
        asks="What do more connections do to the gateway?",
        environment=gateway.surroundings,
        sides={number: named(connected, connections=number) for number in CONNECTIONS},
        ratios=(Ratio("1000", "16", "cpu_us"), Ratio("1000", "16", "memory_mib")),
        axis="connections",
        rounds=3,
        notes=("under full load p99 grows with the connections by itself: all but one of them wait",),
        needs=NEEDS,
    ),
    Question(
        name="gateway-principals",
        group="curves",
        asks="And more principals under limits?",
        environment=named(gateway.surroundings, principals=int(PRINCIPALS[-1])),
        sides={number: named(known, principals=number) for number in PRINCIPALS},
        ratios=(Ratio("1000", "1", "cpu_us"),),
        axis="principals",
        curve="cpu_us",
        rounds=3,
        needs=NEEDS,
    ),
    *(
        Question(
            name=f"items-rows-{name}",
            group="curves",
            asks=f"What do more rows do to {what}?",
            sides={number: named(filled, rows=number, query=query) for number in ROWS},
            ratios=(Ratio("100000", "1000", "p50_ms"),),
            axis="rows",
            curve="p50_ms",
            rounds=3,
            notes=("all rows belong to the one who asks",),
            needs=NEEDS,
        )
        for name, what, query in (
            ("first-page", "the first page of a list", "limit=20"),
            ("search", "the search for the beginning of a name", "name_prefix=lamp+99&sort=name&limit=20"),
        )
    ),
)

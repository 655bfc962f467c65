"""What one request costs, by layer, on the paths that are asked most; and what each thing costs that can be off."""

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from tests.bench import gateway, items, profiles, proxies
from tests.bench.gateway import named
from tests.bench.load import Target
from tests.bench.profiles import LAYER
from tests.bench.questions import Difference, Figures, Measure, Question
from tests.bench.servers import service

NEEDS = {"wrk": "wrk", "nginx": "nginx-light"}
CUT = "tests.bench.apps.cut"
SERVER = "server"
"""What is left when every layer is out."""
FRAMEWORK = ("service", "routing", "middleware")
BODY = json.dumps({"name": "lamp", "description": "warm light " * 25})
"""As long as an item."""
FORWARDING: dict[str, frozenset[str]] = {
    "telemetry": frozenset({"token", "limits"}),
    "limits": frozenset({"token"}),
    "token check": frozenset(),
    "forwarding": frozenset(),
    "middleware": frozenset(),
}
"""What the gateway has out, one after the other, and what of it is switched on by then."""

Start = Callable[[tuple[str, ...]], AbstractContextManager[Target]]


def by_layer(start: Start, layers: Sequence[str], seconds: float) -> Figures:
    """CPU of one request by layer in µs: of each, what the service costs with it less what it costs without.

    The layers go out one after the other and stay out, so that their sum and what is left are the whole. They come back
    in the opposite order, and each counts with the mean of both times: what the machine does meanwhile, slower and
    slower say, is then in all of them alike. The whole is measured once more in the middle: that one, `cpu_us`, knows
    nothing of the sum.
    """
    outs = [tuple(layers[:count]) for count in range(len(layers) + 1)]
    runs: list[Figures] = []
    for out in (*outs, (), *reversed(outs)):
        with start(out) as target:
            runs.append(target.measure(seconds))
    if not seconds:
        return {}
    costs = [run["cpu_us"] for run in runs]
    steps = [(out + back) / 2 for out, back in zip(costs, reversed(costs), strict=True)][: len(outs)]
    each = dict(zip(layers, map(float.__sub__, steps, steps[1:]), strict=True)) | {SERVER: steps[-1]}
    found = {LAYER + name: cost for name, cost in each.items()}
    return {
        "cpu_us": costs[len(outs)],
        "others_cores": max(run["others_cores"] for run in runs),
        "layers_us": sum(found.values()),
        **found,
    }


@contextmanager
def forwarded(_: Any) -> Generator[Measure]:
    """The gateway with everything on, layer by layer."""
    with gateway.surroundings() as around:

        @contextmanager
        def start(out: tuple[str, ...]) -> Generator[Target]:
            on = FORWARDING[out[-1]] if out else gateway.EVERYTHING_ON
            env = {"CUT": ",".join(out), "CUT_SERVICE": "gateway", "CUT_BODY": proxies.BODY}
            with (
                patch.object(gateway, "service", lambda _, settings: service(CUT, settings | env)),
                gateway.slipway_target(around, on) as target,
            ):
                yield target

        yield lambda seconds: by_layer(start, tuple(FORWARDING), seconds)


@contextmanager
def of_items(_: Any, *, what: str, store: str, cached: bool = True) -> Generator[Measure]:
    """One path of items, layer by layer."""
    with items.stores() as around:

        @contextmanager
        def start(out: tuple[str, ...]) -> Generator[Target]:
            env: dict[str, Any] = {
                "CUT": ",".join(out),
                "CUT_SERVICE": "items",
                "CUT_BODY": BODY,
                "CUT_CACHE": "on" if cached else "off",
            }
            env["CUT_STATUS"] = "201" if what == "create" else "200"
            with items.slipway_target(around, what=what, module=CUT, **env) as (target, _management):
                yield target

        yield lambda seconds: by_layer(start, ("telemetry", "token check", store, *FRAMEWORK), seconds)


@contextmanager
def profiled(_: Any, *, what: str, module: str = "services.items") -> Generator[Measure]:
    """One path of items, by its stacks."""
    with items.stores() as around, items.slipway_target(around, what=what, module=module) as (target, _management):
        yield lambda seconds: profiles.measure(target, seconds)


LAYERS = Question(
    name="cost",
    group="cost",
    asks="Where does the time of one request go?",
    sides={
        "gateway, everything on": forwarded,
        "items, cached read": named(of_items, what="read", store="Redis"),
        "items, uncached read": named(of_items, what="read", store="Postgres", cached=False),
        "items, create": named(of_items, what="create", store="Postgres"),
    },
    rounds=3,
    seconds=2,
    side_seconds=80,
    notes=(
        "layers go out one after the other, limits before the token check, else in the table's order, and stay out",
        "what a layer costs is what the service costs with it less what it costs without; server is what is left",
        "what asks a store or checks a token repeats its first answer when it is out",
        "service: FastAPI's dependencies, validation, the service's own code and serialisation together",
        "they come back in the opposite order, each counts with its mean; the whole is measured once more for itself",
    ),
    needs=NEEDS,
)

PROFILES = Question(
    name="cost-profiles",
    group="cost",
    asks="And by the stacks of the process, C code included?",
    sides={
        "items, cached read": named(profiled, what="read"),
        "items, uncached read": named(profiled, what="read", module="tests.bench.apps.uncached"),
        "items, create": named(profiled, what="create"),
    },
    rounds=3,
    notes=(
        "stacks are sampled from outside; a layer is that of the deepest frame that belongs to one",
        "the whole is measured without the sampler: what the layers' sum has above it is the sampler's own",
    ),
    needs=NEEDS,
)

SWITCHES: dict[str, frozenset[str]] = {
    "bare": frozenset(),
    "with access log": frozenset({"log"}),
    "with token": frozenset({"token"}),
    "with limits": frozenset({"limits"}),
    "with 1 % of traces": frozenset({"traces"}),
    "all": gateway.EVERYTHING_ON,
}
SWITCHED = Question(
    name="gateway-switches",
    group="cost",
    asks="What does each thing that can be off cost the gateway?",
    environment=gateway.surroundings,
    sides={name: named(gateway.slipway, on=on) for name, on in SWITCHES.items()},
    differences=tuple(Difference(name, "bare", "cpu_us") for name in SWITCHES if name != "bare"),
    rounds=4,
    seconds=2,
    notes=("each is on alone, beside a gateway that has nothing on; limits are by address where no token is read",),
    needs=NEEDS,
)

QUESTIONS = (LAYERS, PROFILES, SWITCHED)

"""What one request costs, by layer, on the paths that are asked most; and what each thing costs that can be off."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.bench import gateway, items, profiles
from tests.bench.gateway import named
from tests.bench.questions import Difference, Measure, Question

NEEDS = {"wrk": "wrk", "nginx": "nginx-light"}


@contextmanager
def forwarded(_: Any) -> Generator[Measure]:
    """The gateway with everything on."""
    with gateway.surroundings() as around, gateway.slipway_target(around, gateway.EVERYTHING_ON) as target:
        yield lambda seconds: profiles.measure(target, seconds)


@contextmanager
def of_items(_: Any, *, what: str, module: str = "services.items") -> Generator[Measure]:
    """One path of items."""
    with items.stores() as around, items.slipway_target(around, what=what, module=module) as (target, _management):
        yield lambda seconds: profiles.measure(target, seconds)


PROFILES = Question(
    name="cost",
    group="cost",
    asks="Where does the time of one request go?",
    sides={
        "gateway, everything on": forwarded,
        "items, cached read": named(of_items, what="read"),
        "items, uncached read": named(of_items, what="read", module="tests.bench.apps.uncached"),
        "items, create": named(of_items, what="create"),
    },
    rounds=3,
    notes=(
        "stacks are sampled from outside; a layer is that of the deepest frame that belongs to one, C code included",
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

QUESTIONS = (PROFILES, SWITCHED)

"""What one request costs, by layer, on the paths that are asked most; and what each thing costs that can be off."""

import json
import random
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tests.bench import gateway, items, profiles, proxies
from tests.bench.gateway import named
from tests.bench.load import WARM_UP_SECONDS, Target, check
from tests.bench.profiles import LAYER, SERVER
from tests.bench.questions import Difference, Figures, InvalidRunError, Measure, Question
from tests.bench.runner import turned
from tests.bench.usage import Moment, family, running_seconds

NEEDS = {"wrk": "wrk", "nginx": "nginx-light"}
CUT = "tests.bench.apps.cut"
WHOLE = "the service itself"
LASTING = {name: value for name, value in items.LASTING.items() if name.isupper()}
"""What has entries of the cache last: a read is then a hit, whatever the time."""
UNCACHED = "tests.bench.apps.uncached"
SLICE_SECONDS = 1.0
"""Of one run of the load: all versions are alive, and loaded in turn."""
BODY = json.dumps({"name": "lamp", "description": "warm light " * 25})
"""As long as an item."""

Out = tuple[str, ...]
"""What a version of a service has out, in the order in which it goes out."""


@dataclass(frozen=True)
class Version:
    """A service with or without some layers, as it runs."""

    target: Target
    cached: int | None = None
    """The management port of one that must answer every read from its cache."""


Start = Callable[[Out], AbstractContextManager[Version]]


OF_GATEWAY = ("telemetry", "limits", "token check", "forwarding", "middleware")
"""In the order in which they go out: nobody is a principal without a token, so that limits go first."""
SWITCHED_BY = {
    "telemetry": frozenset({"log", "traces"}),
    "limits": frozenset({"limits"}),
    "token check": frozenset({"token"}),
}
"""What the gateway's own settings take out."""
FRAMEWORK = ("service", "routing", "middleware")


def by_layer(start: Start, whole: AbstractContextManager[Version], layers: Sequence[str], seconds: float) -> Figures:
    """CPU of one request by layer in µs, and of the service itself, whose process is another than all of those.

    The layers go out one after the other and stay out: each costs what the version that has it takes more than the one
    without, and the server is what the last one takes. All versions live at once and are asked in turn, there and back,
    a second each: what the machine does meanwhile happens to all of them. What is counted is what the kernel says that
    a version's threads have run.
    """
    outs = [tuple(layers[:count]) for count in range(len(layers) + 1)]
    with ExitStack() as stack:
        versions = {WHOLE: stack.enter_context(whole)} | {out: stack.enter_context(start(out)) for out in outs}
        for version in versions.values():
            version.target.prove()
        if not seconds:
            return {}
        for version in versions.values():
            if version.cached:
                version.target.ask_each()
            version.target.run(WARM_UP_SECONDS)
        told = {port: items.cache_results(port) for version in versions.values() if (port := version.cached)}
        before = Moment.now()
        spent: dict[str | Out, list[float]] = {name: [] for name in versions}
        for number in range(round(seconds / SLICE_SECONDS)):
            for name in turned(list(versions), number):
                spent[name].append(cpu_of_one(versions[name].target))
        others = Moment.now().since(before).others
        for port, earlier in told.items():
            items.check_hits(earlier, items.cache_results(port), 1)
    cost = {name: fmean(values) * 1e6 for name, values in spent.items()}
    steps = [cost[out] for out in outs]
    each = dict(zip((LAYER + name for name in layers), map(float.__sub__, steps, steps[1:]), strict=True))
    each[LAYER + SERVER] = steps[-1]
    return {"cpu_us": cost[WHOLE], "others_cores": others, "layers_us": sum(each.values()), **each}


def cpu_of_one(target: Target) -> float:
    """Seconds of the processor that one request of a short run takes. Raises InvalidRunError when requests fail."""
    pids = family(*target.pids())
    begin = running_seconds(pids)
    got = target.run(SLICE_SECONDS)
    used = running_seconds(pids) - begin
    check(got, {}, paced=True)
    if not used:
        raise InvalidRunError("the kernel does not tell what threads have run: /proc/PID/task/*/schedstat is not there")
    return used / got["requests"]


@contextmanager
def forwarded(_: Any) -> Generator[Measure]:
    """The gateway with everything on, layer by layer."""
    with gateway.surroundings() as around:
        seeded = one_seed()

        @contextmanager
        def start(out: Out, module: str = CUT) -> Generator[Version]:
            on = gateway.EVERYTHING_ON.difference(*(SWITCHED_BY.get(name, ()) for name in out))
            env = {"CUT": ",".join(out), "CUT_SERVICE": "gateway", "CUT_BODY": proxies.BODY} if module == CUT else {}
            with gateway.running(around, on, module=module, **env, **seeded) as process:
                yield Version(gateway.target(around, process))

        yield lambda seconds: by_layer(start, start((), "services.gateway"), OF_GATEWAY, seconds)


@contextmanager
def of_items(_: Any, *, what: str, store: str, whole: str = "services.items") -> Generator[Measure]:
    """One path of items, layer by layer."""
    with items.stores() as around:
        seeded = one_seed()

        @contextmanager
        def start(out: Out, module: str = CUT) -> Generator[Version]:
            env = {
                "CUT": ",".join(out),
                "CUT_SERVICE": "items",
                "CUT_BODY": BODY,
                "CUT_CACHE": "off" if whole == UNCACHED else "on",
                "CUT_STATUS": "201" if what == "create" else "200",
            }
            given = (env if module == CUT else {}) | seeded | LASTING
            with items.slipway_target(around, what=what, module=module, **given) as (target, management):
                yield Version(target, management if store == "Redis" and not {store, "service"} & set(out) else None)

        yield lambda seconds: by_layer(
            start, start((), whole), ("telemetry", "token check", store, *FRAMEWORK), seconds
        )


def one_seed() -> dict[str, str]:
    """A hash seed by chance, for all versions of a round: a difference between two is then not that of their seeds."""
    return {"PYTHONHASHSEED": str(random.randrange(2**32))}


@contextmanager
def profiled(_: Any, *, what: str, module: str = "services.items") -> Generator[Measure]:
    """One path of items, by its stacks."""
    with items.stores() as around:
        given = {"what": what, "module": module, **LASTING}
        with items.slipway_target(around, **given) as (target, _management):
            yield lambda seconds: profiles.measure(target, seconds)


@contextmanager
def forwarded_profiled(_: Any) -> Generator[Measure]:
    """The gateway with everything on, by its stacks."""
    with gateway.surroundings() as around, gateway.slipway_target(around, gateway.EVERYTHING_ON) as target:
        yield lambda seconds: profiles.measure(target, seconds)


LAYERS = Question(
    name="cost",
    group="cost",
    asks="Where does the time of one request go?",
    sides={
        "gateway, everything on": forwarded,
        "items, cached read": named(of_items, what="read", store="Redis"),
        "items, uncached read": named(of_items, what="read", store="Postgres", whole=UNCACHED),
        "items, create": named(of_items, what="create", store="Postgres"),
    },
    rounds=4,
    seconds=2,
    side_seconds=45,
    notes=(
        "what a layer costs is what a version of the service with it takes more than one without, all else the same",
        "layers go out one after the other, limits before the token check, else in the table's order, and stay out",
        "what asks a store or checks a token repeats its first answer when it is out",
        "service: FastAPI's dependencies, validation, the service's own code and serialisation together",
        "all versions live at once and are asked in turn; the whole is the service itself, in a process of its own",
        "that the sum agrees with the whole says how exact the versions are, not that layers leave each other alone",
    ),
    needs=NEEDS,
)

PROFILES = Question(
    name="cost-profiles",
    group="cost",
    asks="And by the stacks of the process, C code included?",
    sides={
        "gateway, everything on": forwarded_profiled,
        "items, cached read": named(profiled, what="read"),
        "items, uncached read": named(profiled, what="read", module=UNCACHED),
        "items, create": named(profiled, what="create"),
    },
    rounds=4,
    seconds=2,
    side_seconds=14,
    notes=(
        "stacks are sampled from outside; a layer is that of the deepest frame that belongs to one",
        "a layer's µs are its share of the samples, of the whole as it is measured without the sampler",
        "they are the whole by that alone; what agrees with the table before is what two ways have found",
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

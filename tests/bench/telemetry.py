"""What metrics, 1 % of traces and the access log cost together, on the two paths that are asked most."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.bench import gateway, items
from tests.bench.gateway import named
from tests.bench.questions import Measure, Question, Ratio
from tests.support.traces import serving

ON, OFF = "on", "off"
UNOBSERVED = "tests.bench.apps.unobserved"
GUARDED = gateway.EVERYTHING_ON - {"log", "traces"}
MOST = 1.15
"""What telemetry may cost: 15 % of the processor's time that a request takes without it."""


@contextmanager
def forwarded(around: gateway.Surroundings, *, telemetry: str) -> Generator[Measure]:
    """The gateway with tokens and limits; off, nothing is counted either."""
    on, module = (gateway.EVERYTHING_ON, "services.gateway") if telemetry == ON else (GUARDED, UNOBSERVED)
    with gateway.running(around, on, module=module, MODULE="services.gateway") as process:
        yield gateway.target(around, process, client_may_be_full=True).measure


@contextmanager
def read(around: items.Stores, *, telemetry: str) -> Generator[Measure]:
    """A cached read of items."""
    if telemetry == OFF:
        with items.slipway(around, what="read", **items.LASTING, **UNSEEN) as measure:
            yield measure
        return
    with serving() as collector:
        traced: dict[str, Any] = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.01",
        }
        with items.slipway(around, what="read", **items.LASTING, LOG_LEVEL="INFO", **traced) as measure:
            yield measure


UNSEEN: dict[str, Any] = {"module": UNOBSERVED, "MODULE": "services.items"}
RATIOS = (
    Ratio(ON, OFF, "cpu_us", goal=MOST, at_most=True, says="with telemetry / without"),
    Ratio(ON, OFF, "requests_per_s"),
)
NOTES = (
    "on: metrics, 1 % of traces over OTLP, and the access log with its bound of 100 lines a second",
    "off: no layer that counts, no line of a request, no trace; the event loop's lag and the pools are still told",
)
QUESTIONS = (
    Question(
        name="telemetry-gateway",
        group="cost",
        asks="What does telemetry cost a request that the gateway forwards?",
        environment=gateway.surroundings,
        sides={telemetry: named(forwarded, telemetry=telemetry) for telemetry in (ON, OFF)},
        ratios=RATIOS,
        short=True,
        notes=("both sides check a token and two limits", *NOTES),
        needs={"wrk": "wrk", "nginx": "nginx-light"},
    ),
    Question(
        name="telemetry-items",
        group="cost",
        asks="And a cached read of items?",
        environment=items.stores,
        sides={telemetry: named(read, telemetry=telemetry) for telemetry in (ON, OFF)},
        ratios=RATIOS,
        short=True,
        notes=NOTES,
        needs={"wrk": "wrk"},
    ),
)

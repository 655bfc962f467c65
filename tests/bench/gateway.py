"""The gateway beside what else could stand there, all before the same upstream."""

import json
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.bench import proxies
from tests.bench.load import Request, Target
from tests.bench.questions import Difference, Measure, Question, Ratio
from tests.bench.servers import Running, service
from tests.support.servers import redis_server
from tests.support.tokens import AUDIENCE, ISSUER, Issuer, key_server

PATH = "/v1/items?limit=20"
PRINCIPALS = 200
MANY = 10_000_000
LIMITS = [{"per": who, "count": MANY, "seconds": 1} for who in ("principal", "address")]
CONNECTIONS = 32
EVERYTHING_ON = frozenset({"token", "limits", "log", "traces"})
HALF_LOAD_PROBE_SECONDS = 2.0


@dataclass
class Surroundings:
    """What every side has behind and beside it."""

    upstream: Running
    redis: str
    keys: str
    requests: tuple[Request, ...]
    """With tokens of many principals, so that no limit and no cache sees one alone."""
    rate: float | None = field(default=None)


@contextmanager
def surroundings(*, half_load: bool = False, principals: int = PRINCIPALS) -> Generator[Surroundings]:
    """An upstream, a `state`, an issuer with its keys, and tokens; at half load also how much that is."""
    with ExitStack() as stack:
        issuer = Issuer()
        keys = stack.enter_context(key_server(issuer))
        redis = stack.enter_context(redis_server())
        tokens = [issuer.token(sub=f"user-{number}", scope="items:read") for number in range(principals)]
        found = Surroundings(
            upstream=stack.enter_context(proxies.upstream()),
            redis=redis.url,
            keys=keys.url,
            requests=tuple(
                Request(PATH, headers={"Authorization": f"Bearer {token}", "Accept": "*/*"}) for token in tokens
            ),
        )
        if half_load:
            with slipway(found, on=EVERYTHING_ON) as measure:
                found.rate = measure(HALF_LOAD_PROBE_SECONDS)["requests_per_s"] / 2
        yield found


@contextmanager
def running(
    around: Surroundings, on: frozenset[str], *, module: str = "services.gateway", **env: str
) -> Generator[Running]:
    """The gateway with some of `token`, `limits`, `log` and `traces` on; with none it is bare."""
    limits = LIMITS if "token" in on else LIMITS[1:]  # nobody is a principal without a token
    route = {
        "upstream": f"http://127.0.0.1:{around.upstream.port}",
        "public": "token" not in on,
        "limits": limits if "limits" in on else [],
    }
    settings = {
        "ROUTES": json.dumps({"/v1/items": route}),
        "ISSUER": ISSUER,
        "AUDIENCE": AUDIENCE,
        "JWKS_URL": around.keys,
        "DOCUMENTS_SECONDS": "0",
        "LOG_LEVEL": "INFO" if "log" in on else "WARNING",
        **env,
    }
    if "limits" in on:
        settings["STATE_URL"] = around.redis
    if "traces" in on:
        settings |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{around.upstream.port}",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.01",
        }
    with service(module, settings) as process:
        yield process


@contextmanager
def slipway_target(around: Surroundings, on: frozenset[str]) -> Generator[Target]:
    """The gateway, and what to ask it."""
    with running(around, on) as process:
        yield target(around, process)


@contextmanager
def slipway(around: Surroundings, *, on: frozenset[str]) -> Generator[Measure]:
    """The gateway, measured."""
    with slipway_target(around, on) as asked:
        yield asked.measure


def target(around: Surroundings, process: Running, *, client_may_be_full: bool = False) -> Target:
    """What is asked of every side alike."""
    return Target(
        port=process.port,
        pids=process.pids,
        requests=around.requests,
        connections=CONNECTIONS,
        rate=around.rate,
        body=lambda body: body == proxies.BODY.encode(),
        client_may_be_full=client_may_be_full,
    )


@contextmanager
def beside(around: Surroundings, start: Callable[[int], AbstractContextManager[Running]]) -> Generator[Measure]:
    """Another proxy."""
    with start(around.upstream.port) as process:
        yield target(around, process, client_may_be_full=True).measure


@contextmanager
def direct(around: Surroundings) -> Generator[Measure]:
    """Nothing between client and upstream."""
    yield target(around, around.upstream, client_may_be_full=True).measure


def named(side: Any, **arguments: Any) -> Any:
    """A side with some of its arguments given; it keeps the module that its file is told from."""
    given = partial(side, **arguments)
    given.__module__ = side.__module__
    return given


BARE, EVERYTHING = "gateway, bare", "gateway, everything on"
OTHERS = {
    "nginx": named(beside, start=proxies.nginx),
    "FastAPI + httpx": named(beside, start=proxies.forwarding),
}
OURS = {BARE: named(slipway, on=frozenset()), EVERYTHING: named(slipway, on=EVERYTHING_ON)}
NOTES = (
    "bare: a public route without limits and without access log; metrics are always on",
    f"everything: token (RS256, {PRINCIPALS} principals in turn), limits per principal and address in Redis, metrics",
    "everything also has 1 % of traces over OTLP, and the access log",
    "requests per CPU second of the proxy are compared: nginx is quicker than its client on one core can ask",
)

QUESTIONS = (
    Question(
        name="gateway",
        group="gateway",
        asks="How many requests does the gateway forward beside other proxies, one core each?",
        environment=surroundings,
        sides={**OURS, **OTHERS},
        ratios=(
            Ratio(BARE, "nginx", "requests_per_cpu_s", goal=0.6),
            Ratio(BARE, "FastAPI + httpx", "requests_per_cpu_s", goal=15),
            Ratio(EVERYTHING, BARE, "requests_per_cpu_s", goal=0.45),
            Ratio(EVERYTHING, "FastAPI + httpx", "requests_per_cpu_s"),
        ),
        short=True,
        notes=NOTES,
        needs={"wrk": "wrk", "nginx": "nginx-light"},
    ),
    Question(
        name="gateway-latency",
        group="gateway",
        asks="What does the gateway add to an answer's time, at half of what it can do with everything on?",
        environment=named(surroundings, half_load=True),
        sides={"direct": direct, **OURS, "nginx": OTHERS["nginx"]},
        differences=tuple(
            Difference(side, "direct", figure)
            for side in (BARE, EVERYTHING, "nginx")
            for figure in ("p50_ms", "p99_ms")
        ),
        short=True,
        notes=(
            "every side is asked at the same rate: half of what the gateway with everything on did in a probe",
            f"{CONNECTIONS} connections ask, each after an exponentially distributed wait",
        ),
        needs={"wrk": "wrk", "nginx": "nginx-light"},
    ),
    Question(
        name="gateway-peers",
        group="gateway",
        asks="And beside HAProxy, Envoy and Traefik?",
        environment=surroundings,
        sides={
            BARE: OURS[BARE],
            "nginx": OTHERS["nginx"],
            "HAProxy": named(beside, start=proxies.haproxy),
            "Envoy": named(beside, start=proxies.envoy),
            "Traefik": named(beside, start=proxies.traefik),
        },
        ratios=tuple(Ratio(BARE, peer, "requests_per_cpu_s") for peer in ("nginx", "HAProxy", "Envoy", "Traefik")),
        rounds=4,
        seconds=2,
        notes=(
            "each has one worker, thread or processor, and writes no log",
            "nginx and HAProxy are Debian's, Envoy that of requirements/bench.txt, Traefik the node's own",
        ),
        needs={"wrk": "wrk", "nginx": "nginx-light", "haproxy": "haproxy"},
    ),
)

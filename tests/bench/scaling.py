"""Out or up: as far as two cores can say, and past that by a simulation that is fed with measured times."""

import random
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from tests.bench import items, proxies
from tests.bench.claims import APPS, NEEDS
from tests.bench.gateway import named
from tests.bench.load import Request, Target
from tests.bench.machine import cores
from tests.bench.questions import Figures, InvalidRunError, Measure, Question, Ratio
from tests.bench.queueing import Setup, simulate
from tests.bench.servers import uvicorn
from tests.bench.usage import cpu_seconds, family

APP = f"{APPS}.layers:app"
ENV = {"LAYERS": "5", "KIND": "base"}
"""Half a millisecond of the processor for each request: the client's share of the second core is small beside it."""
PATH = "/cheap"
CLIENTS = 32
SAMPLES = 3000
SIMULATED = 40_000
LOADS = ("50 %", "80 %", "full")
PODS = ("1", "2", "4", "8", "16", "32", "64")


@contextmanager
def pods(_: Any, *, processes: int, workers: int = 1, both: bool = False) -> Generator[Measure]:
    """So many pods of so many workers behind nginx, on the server's core, one on each of two cores, or on `both`."""
    server, other = {cores().server}, {min(cores().others)}
    with ExitStack() as stack:
        flags = ["--workers", str(workers)] if workers > 1 else []
        places = [server | other] if both else [server, other][:processes]
        running = [stack.enter_context(uvicorn(APP, *flags, env=ENV, on=place)) for place in places]
        front = stack.enter_context(proxies.balancing([one.port for one in running], measured=False))

        def pids() -> list[int]:
            return [pid for one in running for pid in one.pids()]

        yield Target(front.port, pids, (Request(PATH),), connections=CLIENTS, client_may_be_full=True).measure


@dataclass(frozen=True)
class Measured:
    """One pod, and what one request of it takes."""

    target: Target
    service: list[float]
    """Seconds of the processor: the shape of what single requests take, the mean of what a full pod takes."""
    way: float
    """What client and network add to it."""

    @property
    def capacity(self) -> float:
        """Requests a second."""
        return 1 / fmean(self.service)

    def think(self, load: str) -> float:
        """How long each client has to think for the pod to have this load."""
        share = 1.0 if load == "full" else float(load.removesuffix(" %")) / 100
        return 0.0 if load == "full" else CLIENTS / (share * self.capacity)


@contextmanager
def one_pod() -> Generator[Measured]:
    """A pod, asked one request at a time for the shape of its service times, and fully for their mean."""
    with uvicorn(APP, env=ENV) as running:
        target = Target(running.port, running.pids, (Request(PATH),), connections=CLIENTS)
        mean = 1 / target.measure(3)["requests_per_s"]
        alone = sampled(target)
        usual = sorted(alone)[: -len(alone) // 100]  # a hundredth was disturbed by whatever else the client's core did
        scale = mean / fmean(usual)
        yield Measured(target, [one * scale for one in usual], max(0.0, fmean(usual) - mean))


def sampled(target: Target, count: int = SAMPLES) -> list[float]:
    """Seconds that each of so many requests took, one after the other over one connection."""
    found = []
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
        wire = target.requests[0].wire(f"127.0.0.1:{target.port}")
        for _ in range(count):
            begin = time.perf_counter()
            connection.sendall(wire)
            status = answered(connection)
            found.append(time.perf_counter() - begin)
            if status != b"200":
                raise InvalidRunError(f"a request of those that are timed one by one was answered {status.decode()}")
    return found


def answered(connection: socket.socket) -> bytes:
    """Read one whole answer with a length; its status."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += received(connection)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += received(connection)
    return head.split(b" ", 2)[1]


def received(connection: socket.socket) -> bytes:
    """The next bytes. Raises InvalidRunError when there are no more."""
    if part := connection.recv(65536):
        return part
    raise InvalidRunError("a connection whose requests are timed one by one was closed")


@contextmanager
def asked(around: Measured, *, load: str) -> Generator[Measure]:
    """The pod at a load, measured."""
    think = around.think(load)
    yield replace(around.target, rate=CLIENTS / think if think else None).measure


@contextmanager
def computed(around: Measured, *, load: str) -> Generator[Measure]:
    """The pod at a load, simulated."""

    def measure(_: float) -> Figures:
        found = simulate(Setup(around.service, 1, CLIENTS, around.think(load)), SIMULATED, random.Random())
        return {
            "requests_per_s": found.per_s,
            "p50_ms": (found.p50 + around.way) * 1000,
            "p99_ms": (found.p99 + around.way) * 1000,
        }

    yield measure


@dataclass(frozen=True)
class Read:
    """Seconds of the processor that one uncached read takes, in items as measured ones are spread, and in Postgres."""

    service: list[float]
    database: float


@contextmanager
def uncached_read() -> Generator[Read]:
    """Measure both, under full load."""
    module = "tests.bench.apps.uncached"
    with items.stores() as stores, items.slipway_target(stores, what="read", module=module) as (target, _management):
        target.run(1)
        before = cpu_of(*target.pids()), cpu_of(stores.postgres_pid)
        requests = target.run(6)["requests"]
        after = cpu_of(*target.pids()), cpu_of(stores.postgres_pid)
        of_pod, of_database = ((late - early) / requests for late, early in zip(after, before, strict=True))
        alone = sampled(target, 1000)
        yield Read([one * of_pod / fmean(alone) for one in alone], of_database)


def cpu_of(*roots: int) -> float:
    """Seconds that processes have used, with those of their descendants that live and those that have ended."""
    return cpu_seconds(family(*roots))


@contextmanager
def many(around: Read, *, pods: str) -> Generator[Measure]:
    """So many pods before one database, with as many clients as fill them, and then with seven tenths of that load."""

    def measure(_: float) -> Figures:
        count, chance = int(pods), random.Random()
        full = simulate(Setup(around.service, count, CLIENTS * count, database=around.database), SIMULATED, chance)
        think = CLIENTS * count / (0.7 * full.per_s)
        partly = simulate(Setup(around.service, count, CLIENTS * count, think, around.database), SIMULATED, chance)
        return {
            "requests_per_s": full.per_s,
            "efficiency": full.per_s * fmean(around.service) / count,
            "p50_ms": partly.p50 * 1000,
            "p99_ms": partly.p99 * 1000,
            "pod_us": fmean(around.service) * 1e6,
            "database_us": around.database * 1e6,
        }

    yield measure


ONE, OUT = "1 pod, 1 core", "2 pods, 1 core each"
UP, LARGER = "1 pod, 2 workers, 2 cores", "1 pod, 1 worker, 2 cores"
QUESTIONS = (
    Question(
        name="scaling",
        asks="'Horizontal 95 %, vertical 70 %'? What a second core brings: in another pod, or in the same one.",
        sides={
            ONE: named(pods, processes=1),
            OUT: named(pods, processes=2),
            UP: named(pods, processes=1, workers=2, both=True),
            LARGER: named(pods, processes=1, both=True),
        },
        ratios=(Ratio(OUT, ONE), Ratio(UP, ONE), Ratio(LARGER, ONE), Ratio(OUT, UP)),
        rounds=4,
        seconds=2,
        notes=(
            "half a millisecond of the processor a request, behind nginx, which balances by turns",
            "client and nginx have some of the second core, so that 2 cannot be reached",
            "one process of Python has one core's use of two, because one thread runs its code at a time",
        ),
        needs=NEEDS | {"nginx": "nginx-light"},
    ),
    Question(
        name="scaling-check",
        asks="Does the simulation say what is measured, for one pod?",
        environment=one_pod,
        sides={
            f"{how}, {load}": named(side, load=load)
            for load in LOADS
            for how, side in (("measured", asked), ("simulated", computed))
        },
        ratios=tuple(
            Ratio(f"simulated, {load}", f"measured, {load}", figure)
            for load in LOADS
            for figure in ("requests_per_s", "p50_ms", "p99_ms")
        ),
        rounds=4,
        seconds=2,
        start_seconds=8,
        notes=(
            f"{CLIENTS} clients; the load is a share of what the pod can do, with exponential pauses between requests",
            "service times are spread as those of single requests, with the mean that a full pod has",
            "the slowest hundredth of the single requests is left out: the client's core may have caused it",
            "what a single request takes beyond that is the client's and the network's, and is added to each answer",
        ),
        needs=NEEDS,
    ),
    Question(
        name="scaling-simulated",
        asks="And past two cores: how far do pods of items add up, before one database of one core?",
        environment=uncached_read,
        sides={number: named(many, pods=number) for number in PODS},
        axis="pods",
        curve="efficiency",
        flat=("efficiency", "p99_ms"),
        why=dict.fromkeys(("efficiency", "p99_ms"), "the database's core is full, and decides from there on"),
        rounds=2,
        start_seconds=12,
        seconds=1,
        side_seconds=3,
        notes=(
            "simulated, not measured; what is measured is the time that a pod and Postgres take for an uncached read",
            "assumed of a pod: a core of its own, one request at a time, in order, for times as measured",
            "assumed of the database: one core, one request at a time, for exponential times with the measured mean",
            "assumed between them: the less busy of two pods gets a request; the gateway and the network take no time",
            "left out: what connections cost a database, and whatever gets slower by being larger",
            "requests/s at full load, p50 and p99 at seven tenths of it; intervals are those of chance alone",
        ),
        needs=NEEDS,
    ),
)

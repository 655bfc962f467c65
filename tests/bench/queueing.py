"""A simulation of clients, pods and a database, for what two cores cannot say.

What it assumes:

- a pod works on one request at a time, in the order in which they came: an event loop whose requests never wait;
- service times are drawn from measured ones, independently of each other and of how many wait;
- each pod has a core of its own, and so has the database, which serves one at a time with exponential times;
- a client asks again when it has its answer and has thought, exponentially; the way to a pod takes no time of a core;
- of two pods that chance picks, the less busy gets the request, as in the gateway, which knows this at once.

`scaling.py` checks what comes out against what was measured, where that can be.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

CLIENT, DATABASE, ANSWERED = range(3)
"""What happens at a moment: a client asks, a pod hands on to the database, an answer is there."""


@dataclass(frozen=True)
class Setup:
    """What is simulated; times in seconds."""

    service: Sequence[float]
    """Measured times of a pod for one request."""
    pods: int
    clients: int
    think: float = 0.0
    """Mean time between an answer and the client's next request."""
    database: float = 0.0
    """Mean time of the database for one request; 0: there is none."""


@dataclass(frozen=True)
class Outcome:
    """What came out, without the first tenth, in which queues fill."""

    per_s: float
    p50: float
    p99: float


def simulate(setup: Setup, requests: int, chance: random.Random) -> Outcome:
    """Run until so many requests are answered."""
    free, waiting, database_free = [0.0] * setup.pods, [0] * setup.pods, 0.0
    begun = [_thought(setup, chance) for _ in range(setup.clients)]
    events = [(at, CLIENT, client, 0) for client, at in enumerate(begun)]
    heapq.heapify(events)
    answered: list[tuple[float, float]] = []
    while len(answered) < requests:
        now, kind, client, pod = heapq.heappop(events)
        if kind == CLIENT:
            begun[client] = now
            pod = _less_busy(waiting, chance)
            waiting[pod] += 1
            free[pod] = max(now, free[pod]) + chance.choice(setup.service)
            heapq.heappush(events, (free[pod], DATABASE if setup.database else ANSWERED, client, pod))
        elif kind == DATABASE:
            database_free = max(now, database_free) + chance.expovariate(1 / setup.database)
            heapq.heappush(events, (database_free, ANSWERED, client, pod))
        else:
            waiting[pod] -= 1
            answered.append((now, now - begun[client]))
            heapq.heappush(events, (now + _thought(setup, chance), CLIENT, client, 0))
    counted = answered[requests // 10 :]
    percentiles = quantiles((took for _, took in counted), n=100)
    return Outcome((len(counted) - 1) / (counted[-1][0] - counted[0][0]), percentiles[49], percentiles[98])


def _thought(setup: Setup, chance: random.Random) -> float:
    return chance.expovariate(1 / setup.think) if setup.think else 0.0


def _less_busy(waiting: Sequence[int], chance: random.Random) -> int:
    if len(waiting) == 1:
        return 0
    one, other = chance.sample(range(len(waiting)), 2)
    return min(one, other, key=waiting.__getitem__)

"""The simulation says what queueing theory says, where that has an answer."""

import random

import pytest

from tests.bench.queueing import Setup, simulate

REQUESTS = 40_000


def exponential(mean: float) -> list[float]:
    chance = random.Random(1)
    return [chance.expovariate(1 / mean) for _ in range(5000)]


def test_a_full_pod_answers_as_many_as_its_service_time_lets_it() -> None:
    found = simulate(Setup(exponential(0.01), pods=1, clients=20), REQUESTS, random.Random(2))

    assert found.per_s == pytest.approx(100, rel=0.05)
    assert found.p50 == pytest.approx(0.2, rel=0.1)  # Little: twenty clients at a hundred a second


def test_many_clients_that_think_wait_as_in_an_open_queue() -> None:
    # M/M/1 with 60 % load: the time in it is exponential with a mean of 10 ms / (1 - 0.6)
    found = simulate(Setup(exponential(0.01), pods=1, clients=2000, think=2000 / 60), REQUESTS, random.Random(3))

    assert found.per_s == pytest.approx(60, rel=0.05)
    assert found.p50 == pytest.approx(0.025 * 0.693, rel=0.15)
    assert found.p99 == pytest.approx(0.025 * 4.605, rel=0.2)


@pytest.mark.parametrize(("pods", "per_s"), [(2, 200), (4, 400), (16, 500)])
def test_pods_add_up_until_the_database_is_full(pods: int, per_s: float) -> None:
    setup = Setup(exponential(0.01), pods=pods, clients=40 * pods, database=0.002)

    assert simulate(setup, REQUESTS, random.Random(4)).per_s == pytest.approx(per_s, rel=0.05)


def test_the_less_busy_of_two_waits_less_than_one_by_chance_would() -> None:
    shared = simulate(Setup(exponential(0.01), pods=10, clients=2000, think=2000 / 700), REQUESTS, random.Random(5))

    # by chance alone each pod were an M/M/1 with 70 %, with a p99 of 10 ms / 0.3 * 4.605
    assert shared.p99 < 0.01 / 0.3 * 4.605 * 0.7

"""The interval of a ratio is Student's, of logarithms, over pairs."""

import math
import random

import pytest

from tests.bench.interval import T_95, Interval, difference, mean, ratio


def density(t: float, freedom: int) -> float:
    """Student's."""
    log = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    return math.exp(log - (freedom + 1) / 2 * math.log1p(t * t / freedom))


@pytest.mark.parametrize("freedom", range(1, len(T_95) + 1))
def test_each_t_of_the_table_leaves_five_percent_outside(freedom: int) -> None:
    end, steps = T_95[freedom - 1], 2000
    width = end / steps
    inside = density(0, freedom) + density(end, freedom)
    inside += sum((4 if n % 2 else 2) * density(n * width, freedom) for n in range(1, steps))

    assert 2 * inside * width / 3 == pytest.approx(0.95, abs=2e-4)  # Simpson's rule, both halves


def test_a_ratio_that_is_the_same_in_every_round_has_no_width() -> None:
    found = ratio([10, 20, 40], [5, 10, 20])

    assert (found.middle, found.low, found.high) == pytest.approx((2, 2, 2))


def test_what_slows_both_sides_of_a_round_leaves_the_ratio_as_sure_as_it_was() -> None:
    calm = ratio([100, 102, 98], [50, 50, 50])
    noisy = ratio([100, 51, 980], [50, 25, 500])

    assert (noisy.middle, noisy.low, noisy.high) == pytest.approx((calm.middle, calm.low, calm.high))


def test_turning_a_ratio_round_turns_its_interval_round() -> None:
    there, back = ratio([3, 4, 5], [1, 1.2, 1.1]), ratio([1, 1.2, 1.1], [3, 4, 5])
    assert there.low is not None
    assert there.high is not None

    assert (back.middle, back.low, back.high) == pytest.approx((1 / there.middle, 1 / there.high, 1 / there.low))


def test_ninety_five_in_a_hundred_intervals_hold_the_true_ratio() -> None:
    seeded, held = random.Random(7), 0
    for _ in range(2000):
        left = [2 * math.exp(seeded.gauss(0, 0.1)) for _ in range(5)]
        right = [math.exp(seeded.gauss(0, 0.1)) for _ in range(5)]
        found = ratio(left, right)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 2 <= found.high

    assert 0.935 < held / 2000 < 0.965


def test_one_round_has_no_interval_and_overlaps_only_with_what_holds_its_middle() -> None:
    alone = ratio([3], [2])

    assert alone == Interval(1.5, None, None)
    assert alone.overlaps(Interval(1.4, 1.2, 1.6))
    assert not alone.overlaps(Interval(2, 1.6, 2.4))


def test_intervals_that_touch_overlap_and_those_apart_do_not() -> None:
    assert Interval(1, 0.9, 1.1).overlaps(Interval(1.2, 1.1, 1.3))
    assert not Interval(1, 0.9, 1.1).overlaps(Interval(1.3, 1.2, 1.4))


def test_a_difference_keeps_its_unit_and_its_sign() -> None:
    found = difference([1.5, 1.7, 1.6], [1.0, 1.2, 1.1])

    assert (found.middle, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert mean([1, 3]).middle == 2


@pytest.mark.parametrize(("left", "right"), [([], []), ([1, 2], [1]), ([1, 0], [1, 1]), ([1], [-1])])
def test_what_has_no_ratio_is_refused(left: list[float], right: list[float]) -> None:
    with pytest.raises(ValueError, match=r"rounds of both|zero or less"):
        ratio(left, right)

"""How sure a ratio is: the 95 % interval of a ratio of two things measured in turn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

# Student's t, two-sided 95 %, for 1 to 30 degrees of freedom
T_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """A middle and the two ends between which it lies with 95 %; the ends are None when one round was all."""

    middle: float
    low: float | None
    high: float | None

    def overlaps(self, other: "Interval") -> bool:
        """Whether the two have a value in common; one without ends is its middle alone."""
        low, high = self.ends()
        other_low, other_high = other.ends()
        return low <= other_high and other_low <= high

    def ends(self) -> tuple[float, float]:
        """Both ends; of one round alone its middle twice."""
        return (
            self.middle if self.low is None else self.low,
            self.middle if self.high is None else self.high,
        )


def ratio(left: Sequence[float], right: Sequence[float]) -> Interval:
    """`left` over `right`, round by round, as a geometric mean with Student's interval of the logarithms.

    The two are paired: what disturbed a round disturbed both of its sides. Raises ValueError for what has no ratio.
    """
    if len(left) != len(right) or not left:
        raise ValueError(f"as many rounds of both sides are needed, not {len(left)} and {len(right)}")
    if min(*left, *right) <= 0:
        raise ValueError("a side with a figure of zero or less has no ratio")
    found = mean([math.log(one / other) for one, other in zip(left, right, strict=True)])
    return Interval(
        math.exp(found.middle),
        None if found.low is None else math.exp(found.low),
        None if found.high is None else math.exp(found.high),
    )


def difference(left: Sequence[float], right: Sequence[float]) -> Interval:
    """`left` less `right`, round by round. Raises ValueError without as many rounds of both."""
    if len(left) != len(right) or not left:
        raise ValueError(f"as many rounds of both sides are needed, not {len(left)} and {len(right)}")
    return mean([one - other for one, other in zip(left, right, strict=True)])


def mean(values: Sequence[float]) -> Interval:
    """The mean with Student's interval; of one value alone nothing says how sure it is."""
    middle = fmean(values)
    if len(values) == 1:
        return Interval(middle, None, None)
    half = _t(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(middle, middle - half, middle + half)


def _t(freedom: int) -> float:
    return T_95[freedom - 1] if freedom <= len(T_95) else NormalDist().inv_cdf(0.975)

"""What a benchmark is: a question, the sides that are measured in turn, and what is compared between them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

Figures = dict[str, float]
"""What one run of one side gave, by names that carry their unit: requests_per_s, p50_ms, cpu_us, bytes, ..."""

Measure = Callable[[float], Figures]
"""Measures for so many seconds. Raises InvalidRunError when what came out would mean nothing."""

Side = Callable[[Any], AbstractContextManager[Measure]]
"""Starts one side in an environment and yields what measures it; ended with the block."""


class InvalidRunError(Exception):
    """A run that says nothing: requests failed, the client could do no more, or somebody else had the machine."""


class BenchError(Exception):
    """What cannot be measured here at all, as a sentence that says what to do."""


@dataclass(frozen=True)
class Ratio:
    """One figure of one side over that of another. `goal` is what it should be at least (at most, if `at_most`)."""

    left: str
    right: str
    figure: str = "requests_per_s"
    goal: float | None = None
    at_most: bool = False
    says: str = ""
    """What a reader should call it; by default the two sides' names."""


@dataclass(frozen=True)
class Difference:
    """One figure of one side less that of another, in the figure's unit."""

    left: str
    right: str
    figure: str = "p50_ms"


@dataclass(frozen=True)
class Bound:
    """What a figure of one side should be at most, in the figure's unit."""

    side: str
    figure: str
    most: float


@dataclass(frozen=True)
class Question:
    """One benchmark. The environment is made once, the sides anew in each round, each time in another order.

    A process differs from the next in its hash seed and the layout of its memory: new ones put that in the interval.
    """

    name: str
    asks: str
    sides: Mapping[str, Side]
    ratios: tuple[Ratio, ...] = ()
    differences: tuple[Difference, ...] = ()
    bounds: tuple[Bound, ...] = ()
    environment: Callable[[], AbstractContextManager[Any]] = nullcontext
    stays: bool = False
    """Whether its environment is left as it was found, and takes so long that the next question with it gets it."""
    group: str = "claims"
    short: bool = False
    """Whether it is of the short set."""
    rounds: int = 5
    seconds: float = 3.0
    """Of one run."""
    start_seconds: float = 3.0
    """What the environment takes to be there; of what a side starts itself it is told in `side_seconds`."""
    side_seconds: float = 3.5
    """What a run of one side takes beside its load: a look at the machine, the start, the warm-up and the end."""
    axis: str = ""
    """What the sides' names count, where they are numbers: the figures are then drawn as a curve over it."""
    curve: str = "requests_per_s"
    """The figure that is drawn over the axis."""
    flat: tuple[str, ...] = ()
    """Figures of which it is told where over the axis they stop being flat."""
    why: Mapping[str, str] = field(default_factory=dict)
    """By figure, what makes it leave the flat part where it does: what we take for the reason, told with the place."""
    notes: tuple[str, ...] = ()
    """What a sceptic should know: what is in a side and what is not."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Programs that must be there, and the Debian package that brings each."""

    @property
    def file(self) -> str:
        """The script that makes its numbers: the module of its first side."""
        return next(iter(self.sides.values())).__module__.replace(".", "/") + ".py"

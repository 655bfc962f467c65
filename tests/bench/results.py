"""The result file: all that the report, the plots and the comparison are made from."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.interval import Interval, difference, mean, ratio
from tests.bench.load import is_disturbed
from tests.bench.questions import BenchError, Figures, Question

FILE = Path(__file__).with_name("results.json")
DIGITS = 6
KNEES = {"requests_per_s": 0.8, "efficiency": 0.8, "p50_ms": 2.0, "p99_ms": 2.0, "cpu_us": 1.25, "memory_mib": 1.25}
"""How much of the best so far ends the flat part of a curve: less than that of a rate, more than that of a cost."""

Round = dict[str, Figures]
"""One run of each side, by its name."""


@dataclass(frozen=True)
class Knee:
    """Where a figure stops being flat over the axis."""

    figure: str
    best: str
    """The side that it is compared with: the best of the flat part."""
    side: str = ""
    """The first that is no longer flat; none where all are."""
    found: Interval | None = None
    sure: bool = False
    """Whether the whole interval is past the bound, and not its middle alone."""


@dataclass
class Answer:
    """What was found for one question."""

    name: str
    group: str
    asks: str
    file: str
    seconds: float
    sides: list[str]
    ratios: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    bounds: list[dict[str, Any]]
    axis: str
    curve: str
    notes: list[str]
    flat: list[str] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    measured: str = ""
    """When the last round ended, in UTC."""
    revision: str = ""
    rounds: list[Round] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    """Why runs were thrown away and made again."""
    failed: str = ""
    """Why there is no answer."""

    @classmethod
    def to(cls, question: Question) -> "Answer":
        """An answer without rounds yet."""
        return cls(
            name=question.name,
            group=question.group,
            asks=question.asks,
            file=question.file,
            seconds=question.seconds,
            sides=list(question.sides),
            ratios=[asdict(one) for one in question.ratios],
            differences=[asdict(one) for one in question.differences],
            bounds=[asdict(one) for one in question.bounds],
            axis=question.axis,
            curve=question.curve,
            flat=list(question.flat),
            why=dict(question.why),
            notes=list(question.notes),
        )

    @property
    def disturbed(self) -> int:
        """In how many rounds others had more of the machine than is allowed."""
        return sum(is_disturbed_round(found) for found in self.rounds)

    def figures(self, side: str, figure: str) -> list[float]:
        """One figure of one side, round by round; of the rounds that have it."""
        return [found[side][figure] for found in self.rounds if figure in found.get(side, {})]

    def compared(self) -> Iterator[tuple[dict[str, Any], Interval]]:
        """Each ratio of the question, with what was found; none for a side that gave no such figure."""
        for one in self.ratios:
            left, right = (self.figures(one[side], one["figure"]) for side in ("left", "right"))
            if left and len(left) == len(right) and min(*left, *right) > 0:
                yield one, ratio(left, right)

    def knees(self) -> Iterator[Knee]:
        """Where each figure's flat part ends.

        The best is sought from the first side on: the highest rate, the lowest cost. The flat part ends at the first
        side after it that is worse by what KNEES says, as the middle of the rounds' ratios; whether the whole interval
        is, is told.
        """
        for figure in self.flat:
            worse, best = KNEES[figure], ""
            for side in self.sides:
                values = self.figures(side, figure)
                if len(values) != len(self.rounds) or not values or min(values) <= 0:
                    continue
                if not best:
                    best = side
                    continue
                found = ratio(values, self.figures(best, figure))
                low, high = found.ends()
                if (found.middle < worse) if worse < 1 else (found.middle > worse):
                    sure = high < worse if worse < 1 else low > worse
                    yield Knee(figure, best, side, found, sure)
                    break
                if (found.middle > 1) if worse < 1 else (found.middle < 1):
                    best = side
            else:
                if best:
                    yield Knee(figure, best)

    def differing(self) -> Iterator[tuple[dict[str, Any], Interval]]:
        """Each difference of the question, with what was found."""
        for one in self.differences:
            left, right = (self.figures(one[side], one["figure"]) for side in ("left", "right"))
            if left and len(left) == len(right):
                yield one, difference(left, right)

    def bounded(self) -> Iterator[tuple[dict[str, Any], Interval]]:
        """Each bound of the question, with the mean of its figure."""
        for one in self.bounds:
            if values := self.figures(one["side"], one["figure"]):
                yield one, mean(values)


Answers = dict[str, Answer]


def is_disturbed_round(found: Round) -> bool:
    """Whether others had more of the machine than is allowed while one of its sides was measured."""
    return any(is_disturbed(figures) for figures in found.values())


def read(file: Path = FILE) -> Answers:
    """All answers of a file; none when there is no file. Raises BenchError for one that cannot be read."""
    if not file.exists():
        return {}
    try:
        return {entry["name"]: Answer(**entry) for entry in json.loads(file.read_text())["answers"]}
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(
            f"{file.name} cannot be read ({error}): it was written by another version or by hand; "
            "put back the committed one"
        ) from error


def write(answers: Answers, file: Path = FILE) -> None:
    """Write the answers, in the order of their names; a reader sees the old file or the new one, never half."""
    entries = [_rounded(asdict(answers[name])) for name in sorted(answers)]
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps({"answers": entries}, indent=1, ensure_ascii=False) + "\n")
    draft.replace(file)


def merged(written: Answers, found: Answers) -> Answers:
    """What was written with what was found; an attempt without an answer leaves the old one, and says so there."""
    both = dict(written)
    for name, answer in found.items():
        if answer.failed and name in both:
            both[name].failed = answer.failed
        else:
            both[name] = answer
    return both


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return value

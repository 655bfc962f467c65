"""Where a curve stops being flat is computed from the rounds, and told."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.questions import Measure, Question
from tests.bench.results import Answer


@contextmanager
def side(_: object) -> Generator[Measure]:
    yield lambda _: {}


def curve(*rounds: tuple[float, ...]) -> Answer:
    sides = {str(10**place): side for place in range(len(rounds[0]))}
    answer = Answer.to(Question("curve", "Where?", sides, axis="rows", curve="p50_ms", flat=("p50_ms",)))
    answer.rounds = [{name: {"p50_ms": value} for name, value in zip(sides, values, strict=True)} for values in rounds]
    return answer


@pytest.mark.parametrize(
    ("rounds", "bend"),
    [
        ([(1, 1.1, 1.5, 3), (1, 1.1, 1.52, 3)], "100"),
        ([(1, 0.95, 0.7), (1, 0.96, 0.71)], "100"),  # it may become quicker, too
        ([(1, 1.1, 1.18), (1, 1.1, 1.19)], ""),
        ([(1, 1.1, 1.3), (1, 1.1, 2.9)], ""),  # too unsure to say
        ([(1, 1.5, 1.1), (1, 1.5, 1.1)], "10"),
    ],
)
def test_a_curve_bends_where_a_whole_interval_is_a_fifth_from_the_beginning(
    rounds: list[tuple[float, ...]], bend: str
) -> None:
    ((figure, found, _),) = curve(*rounds).bends()

    assert (figure, found) == ("p50_ms", bend)


def test_the_page_says_where_it_bends_or_that_it_is_flat(tmp_path: Path) -> None:
    bent, flat = curve((1, 1.0, 4), (1, 1.0, 4)), curve((1, 1.0, 1), (1, 1.0, 1))
    bent.axis = flat.axis = "rows"

    told = [next(line for line in report._question(answer, tmp_path) if "flat" in line) for answer in (bent, flat)]

    assert told[0] == "- p50 ms: no longer flat at 100 rows, where it is **4 (4 to 4)** times that at 1"
    assert told[1] == "- p50 ms: flat from 1 to 100 rows, within 20%"


def test_a_figure_that_some_rounds_lack_is_not_told() -> None:
    answer = curve((1, 4), (1, 4))
    del answer.rounds[0]["1"]["p50_ms"], answer.rounds[1]["1"]["p50_ms"]

    assert list(answer.bends()) == []

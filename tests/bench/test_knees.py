"""Where a curve stops being flat is computed from the rounds, and told with what is taken for the reason."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.questions import Measure, Question
from tests.bench.registry import ALL
from tests.bench.results import KNEES, Answer


@contextmanager
def side(_: object) -> Generator[Measure]:
    yield lambda _: {}


def curve(*rounds: tuple[float, ...], figure: str = "p50_ms") -> Answer:
    sides = {str(10**place): side for place in range(len(rounds[0]))}
    why = {figure: "the moon is full"}
    answer = Answer.to(Question("curve", "Where?", sides, axis="rows", curve=figure, flat=(figure,), why=why))
    answer.rounds = [{name: {figure: value} for name, value in zip(sides, values, strict=True)} for values in rounds]
    return answer


def told(answer: Answer, tmp_path: Path) -> str:
    return next(line for line in report._question(answer, tmp_path) if "flat" in line)


@pytest.mark.parametrize(
    ("figure", "rounds", "best", "knee", "sure"),
    [
        ("p50_ms", [(1, 1.1, 1.9, 2.1, 9), (1, 1.1, 1.9, 2.11, 9)], "1", "1000", True),
        ("p50_ms", [(1, 0.5, 0.9, 1.1), (1, 0.5, 0.9, 1.1)], "10", "1000", True),  # of the best, not of the first
        ("p50_ms", [(1, 1.1, 1.2), (1, 1.1, 4.5)], "1", "100", False),  # too unsure to say
        ("p50_ms", [(1, 1.1, 1.2), (1, 1.1, 1.3)], "1", "", False),
        ("cpu_us", [(100, 110, 130), (100, 110, 130.1)], "1", "100", True),
        ("requests_per_s", [(100, 900, 1000, 850, 700), (100, 900, 1000, 850, 700)], "100", "10000", True),
        ("requests_per_s", [(100, 900, 1000), (100, 900, 1000)], "100", "", False),
    ],
)
def test_the_flat_part_ends_at_the_first_side_that_is_worse_than_the_best_before_it(
    figure: str, rounds: list[tuple[float, ...]], best: str, knee: str, *, sure: bool
) -> None:
    (found,) = curve(*rounds, figure=figure).knees()

    assert (found.best, found.side, found.sure) == (best, knee, sure)


def test_the_page_says_where_it_ends_and_a_reason_only_where_it_does(tmp_path: Path) -> None:
    assert told(curve((1, 1.0, 4), (1, 1.0, 4)), tmp_path) == (
        "- p50 ms: flat up to 10 rows: at 100 it is **4 (4 to 4)** times that at 1, and 2 ends the flat part; "
        "likely because the moon is full"
    )
    assert told(curve((1, 1.0, 1.2), (1, 1.0, 1.2)), tmp_path) == (
        "- p50 ms: flat to the end: nowhere above 2 times that at 1 rows"
    )
    assert "perhaps flat only up to 10 rows: at 100" in told(curve((1, 1, 1.2), (1, 1, 4.5)), tmp_path)


def test_a_figure_that_some_rounds_lack_is_not_told() -> None:
    answer = curve((1, 4), (1, 4))
    del answer.rounds[0]["1"]["p50_ms"], answer.rounds[1]["1"]["p50_ms"]

    assert [knee.side for knee in answer.knees()] == [""]
    assert [knee.best for knee in answer.knees()] == ["10"]


def test_every_curve_says_why_for_each_figure_that_can_leave_its_flat_part() -> None:
    for question in ALL:
        assert set(question.flat) <= set(KNEES), question.name
        assert set(question.why) >= set(question.flat), question.name

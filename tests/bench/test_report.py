"""The page tells what was found, losses included, and the comparison fails only outside both intervals."""

from pathlib import Path

import pytest

from tests.bench import check, report
from tests.bench.interval import Interval
from tests.bench.questions import Question, Ratio
from tests.bench.registry import ALL
from tests.bench.results import FILE, Answer, Answers, read


def answers(*ratios: float, goal: float = 2.0, others: float = 0.0) -> Answers:
    question = Question("two", "Which?", {"a": report.write, "b": report.write}, ratios=(Ratio("a", "b", goal=goal),))  # type: ignore[dict-item]
    answer = Answer.to(question)
    answer.rounds = [
        {"a": {"requests_per_s": 100 * one, "others_cores": others}, "b": {"requests_per_s": 100.0}} for one in ratios
    ]
    return {"two": answer}


def page(found: Answers, tmp_path: Path) -> str:
    lines = [*report._machines(found), *report._goals(found)]
    for answer in found.values():
        lines += report._question(answer, tmp_path)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ((3, 3.1, 2.9), "| met |"),
        ((1, 1.1, 0.9), "| **missed** |"),
        ((1.5, 2.1, 2.9), "| met by the middle, not by the whole interval |"),
    ],
)
def test_a_goal_is_met_by_its_whole_interval_or_the_page_says_what_it_is(
    ratios: tuple[float, ...], verdict: str, tmp_path: Path
) -> None:
    assert verdict in page(answers(*ratios), tmp_path)


@pytest.mark.parametrize(
    ("sums", "told", "verdict"),
    [
        ((98, 101), "0.995 (0.821 to 1.2)", "met by the middle, not by the whole interval"),
        ((99.9, 100.1), "1 (0.987 to 1.01)", "met"),
        ((120, 121), "1.2 (1.14 to 1.27)", "**missed**"),
    ],
)
def test_layers_stand_beside_the_whole_with_what_is_left_and_how_sure_that_is(
    sums: tuple[float, float], told: str, verdict: str, tmp_path: Path
) -> None:
    answer = Answer.to(Question("cost", "Where?", {"a": report.write}))  # type: ignore[dict-item]
    answer.rounds = [
        {"a": {"layer: telemetry": 10.0 * number, "layers_us": found, "cpu_us": 100.0}}
        for number, found in enumerate(sums, 1)
    ]
    lines = page({"cost": answer}, tmp_path)

    assert "| telemetry | 15 ± 64 (15%) |" in lines
    assert f"| rest | {100 - sum(sums) / 2:.0f} ±" in lines
    assert f"| sum / whole | {told} |" in lines
    assert f"| cost: sum of the layers / the whole, a | within 10% | {told} | {verdict} |" in lines


def test_a_profile_has_no_sum_of_its_own(tmp_path: Path) -> None:
    answer = Answer.to(Question("profile", "Where?", {"a": report.write}))  # type: ignore[dict-item]
    answer.rounds = [{"a": {"layer: server": 40.0, "layer: other": 60.0, "cpu_us": 100.0}}] * 2
    lines = page({"profile": answer}, tmp_path)

    assert "| **the whole** | 100 ± 0 |" in lines
    assert "sum / whole" not in lines


def test_figures_of_a_busy_machine_are_marked(tmp_path: Path) -> None:
    assert "while others used the machine" in page(answers(3, 3, others=0.4), tmp_path)
    assert "while others used the machine" not in page(answers(3, 3), tmp_path)


def test_what_was_not_measured_and_what_was_measured_otherwise_is_told(tmp_path: Path) -> None:
    first, *others = ALL
    answer = Answer.to(first)
    answer.rounds = [{side: {"requests_per_s": 1.0} for side in first.sides}]
    same = "\n".join(report._question(answer, tmp_path))
    answer.sides = answer.sides[:-1]

    assert "Measured before other things were put beside it" not in same
    assert "Measured before other things were put beside it" in "\n".join(report._question(answer, tmp_path))
    (told, _) = report._unanswered({first.name: answer})
    assert told == f"Not measured yet: {', '.join(question.name for question in others)}."


def test_a_ratio_outside_both_intervals_is_told_and_one_inside_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    written = answers(3, 3.1, 2.9)

    assert check.compare(answers(3.05, 3.1, 2.95), written) == []
    assert check.compare(answers(2, 2.1, 1.9), written) == ["two: a / b (requests_per_s)"]
    assert "OUTSIDE  two: a / b (requests_per_s): 2 (" in capsys.readouterr().out


def test_a_ratio_that_was_not_there_before_fails_nothing() -> None:
    assert check.compare(answers(1), {}) == []


def test_a_single_round_says_that_it_is_one() -> None:
    assert check.shown(Interval(1.5, None, None)) == "1.5 (one round)"


def test_every_answer_that_is_written_down_is_of_a_question_that_exists() -> None:
    questions = {question.name: question for question in ALL}

    for name, answer in read().items():
        assert name in questions, f"{FILE.name} has {name}, which nothing measures any more"
        assert answer.group in report.GROUPS
        assert answer.file == questions[name].file


def test_every_group_has_a_heading() -> None:
    assert {question.group for question in ALL} <= set(report.GROUPS)

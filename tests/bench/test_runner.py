"""Rounds are interleaved and kept; bad runs are thrown away; a busy machine is refused with a sentence."""

import json
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench import __main__ as bench
from tests.bench import machine, registry, results
from tests.bench.items import check_hits
from tests.bench.load import Request, Target, check, parse
from tests.bench.questions import BenchError, Figures, InvalidRunError, Measure, Question, Ratio
from tests.bench.runner import Runner, expected_seconds, stands, turned
from tests.bench.usage import Span


@dataclass
class Sides:
    """Two sides that give what a test tells them, and note in which order they were measured."""

    order: list[str] = field(default_factory=list)
    troubles: list[BaseException | Figures] = field(default_factory=list)

    def side(self, name: str, value: float) -> Any:
        @contextmanager
        def started(_: object) -> Generator[Measure]:
            def measure(_: float) -> Figures:
                self.order.append(name)
                trouble = self.troubles.pop(0) if self.troubles and name == "b" else None
                if isinstance(trouble, BaseException):
                    raise trouble
                return {"requests_per_s": value, "others_cores": 0.0, **(trouble or {})}

            yield measure

        return started

    def question(self, **changes: Any) -> Question:
        two = {"a": self.side("a", 20), "b": self.side("b", 10)}
        return replace(Question("two", "Which?", two, ratios=(Ratio("a", "b"),), rounds=3), **changes)


def runner(tmp_path: Path, **changes: Any) -> Runner:
    given: dict[str, Any] = {
        "say": lambda _: None,
        "partial": tmp_path / "kept" / "partial.json",
        "quiet": lambda _: None,
    }
    return Runner(**(given | changes))


def test_sides_are_measured_in_turn_and_in_another_order_each_round(tmp_path: Path) -> None:
    sides = Sides()

    found = runner(tmp_path).run([sides.question()])["two"]

    assert sides.order == ["a", "b", "a", "b", "a", "b"]
    assert [interval.middle for _, interval in found.compared()] == [pytest.approx(2)]
    assert [turned(list("abc"), number) for number in range(3)] == [list("abc"), list("acb"), list("cab")]


def test_a_run_with_an_error_is_thrown_away_made_again_and_told(tmp_path: Path) -> None:
    sides = Sides(troubles=[InvalidRunError("3 requests failed")])

    found = runner(tmp_path).run([sides.question()])["two"]

    assert (len(found.rounds), found.failed) == (3, "")
    assert found.rejected == ["b: 3 requests failed"]


def test_a_question_whose_runs_are_all_bad_has_no_answer_and_the_next_is_measured(tmp_path: Path) -> None:
    bad = Sides(troubles=[InvalidRunError("no")] * 3)

    found = runner(tmp_path).run([bad.question(), Sides().question(name="next")])

    assert "3 runs were thrown away, the last because no" in found["two"].failed
    assert len(found["next"].rounds) == 3


def test_a_run_beside_which_others_worked_is_thrown_away_or_marked(tmp_path: Path) -> None:
    disturbed: list[BaseException | Figures] = [{"others_cores": 0.5}]

    refused = runner(tmp_path / "1").run([Sides(troubles=list(disturbed)).question()])["two"]
    marked = runner(tmp_path / "2", mark_busy=True).run([Sides(troubles=list(disturbed)).question()])["two"]

    assert (refused.disturbed, refused.rejected) == (0, ["b: others used 0.50 cores meanwhile"])
    assert (marked.disturbed, marked.rejected) == (1, [])


def test_a_busy_machine_is_refused_with_a_sentence_that_says_how_busy() -> None:
    with pytest.raises(BenchError, match=r"too busy to measure on: other processes use 0\.80 cores"):
        machine.wait_until_quiet(lambda _: None, patience_seconds=0, look=lambda: Span(1, {0: 0.8}, 0.8))


def test_a_machine_that_becomes_quiet_in_time_is_measured_on() -> None:
    seen = [Span(1, {}, 0.8), Span(1, {}, 0.8), Span(1, {}, 0.1)]
    said: list[str] = []

    machine.wait_until_quiet(said.append, patience_seconds=60, look=lambda: seen.pop(0))

    assert said == ["waiting: others use 0.80 cores"] * 2


def test_what_was_interrupted_goes_on_with_the_round_that_it_was_in(tmp_path: Path) -> None:
    first = Sides(troubles=[{}, KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        runner(tmp_path).run([first.question()])
    second = Sides()

    found = runner(tmp_path).run([second.question()])["two"]

    assert len(found.rounds) == 3
    assert len(second.order) == 4  # the two rounds that were missing


def test_what_was_kept_of_another_question_under_the_same_name_is_not_gone_on_with(tmp_path: Path) -> None:
    runner(tmp_path).run([Sides().question(rounds=2)])
    again = Sides()

    found = runner(tmp_path).run([again.question(seconds=9)])["two"]

    assert (len(found.rounds), len(again.order)) == (3, 6)


def test_nothing_is_left_to_go_on_with_once_all_is_written(tmp_path: Path) -> None:
    one = runner(tmp_path)
    one.run([Sides().question()])
    one.finished([Sides().question()])
    again = Sides()

    runner(tmp_path).run([again.question()])

    assert len(again.order) == 6


def test_asking_for_one_question_forgets_no_finished_round_of_another(tmp_path: Path) -> None:
    runner(tmp_path).run([Sides().question(rounds=2)])
    only = runner(tmp_path, again=True)
    only.run([Sides().question(name="other")])
    only.finished([Sides().question(name="other")])
    again = Sides()

    runner(tmp_path).run([again.question(rounds=2), again.question(name="other", rounds=1)])

    assert again.order == ["a", "b"]  # of the other alone


def test_a_finished_question_is_measured_anew_by_its_name_and_gone_past_in_a_set(tmp_path: Path) -> None:
    runner(tmp_path).run([Sides().question()])
    in_a_set, by_name = Sides(), Sides()

    runner(tmp_path).run([in_a_set.question()])
    runner(tmp_path, again=True).run([by_name.question()])

    assert (len(in_a_set.order), len(by_name.order)) == (0, 6)


def test_a_group_that_was_interrupted_goes_on_and_measures_nothing_twice(tmp_path: Path) -> None:
    interrupted = Sides(troubles=[KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        runner(tmp_path, again=True).run([Sides().question(), interrupted.question(name="next")])
    first, second = Sides(), Sides()

    runner(tmp_path, again=True).run([first.question(), second.question(name="next")])

    assert (len(first.order), len(second.order)) == (0, 6)


def test_a_question_that_failed_half_way_goes_on_with_its_rounds(tmp_path: Path) -> None:
    runner(tmp_path).run([Sides(troubles=[{}, *[InvalidRunError("no")] * 3]).question()])
    again = Sides()

    found = runner(tmp_path).run([again.question()])["two"]

    assert (len(found.rounds), found.failed, len(again.order)) == (3, "", 4)


def test_what_is_written_down_stands_while_its_question_is_asked_the_same_way(tmp_path: Path) -> None:
    question = Sides().question()
    written = runner(tmp_path).run([question])["two"]
    disturbed = replace(written, rounds=[{**found, "a": {"others_cores": 0.5}} for found in written.rounds])

    assert stands(question, replace(written, revision="of other code", notes=["in other words"]))
    for other in (None, replace(written, failed="no"), replace(written, rounds=written.rounds[1:]), disturbed):
        assert not stands(question, other)
    assert not stands(replace(question, seconds=9), written)
    assert not stands(replace(question, sides={"a": Sides().side("a", 1)}, ratios=()), written)


def test_the_whole_set_measures_only_what_is_not_written_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there, *missing = registry.chosen([], full=True)
    answer = results.Answer.to(there)
    answer.measured = "2026-11-29T22:00:00+00:00"
    answer.rounds = [{side: {"others_cores": 0.0} for side in there.sides}] * there.rounds
    monkeypatch.setattr(results, "read", lambda: {there.name: answer})

    assert bench._missing([there, *missing]) == missing
    assert f"{there.name}: measured 2026-11-29, kept" in capsys.readouterr().err


def test_each_answer_is_told_as_soon_as_it_is_there(tmp_path: Path) -> None:
    told: list[str] = []
    interrupted = Sides(troubles=[KeyboardInterrupt()])
    one = runner(tmp_path, finish=lambda answer: told.append(answer.name))

    with pytest.raises(KeyboardInterrupt):
        one.run([Sides().question(), interrupted.question(name="next")])

    assert told == ["two"]


def test_nothing_is_begun_that_its_time_is_too_short_for(tmp_path: Path) -> None:
    long, short = Sides(), Sides()
    said: list[str] = []

    found = runner(tmp_path, minutes=1, say=said.append).run(
        [long.question(seconds=60), short.question(name="next", seconds=1)]
    )

    assert list(found) == ["next"]
    assert (len(long.order), len(short.order)) == (0, 6)
    assert "  left out: it takes about 6.4 min, which are no longer there" in said


def test_what_matters_most_is_measured_first_after_the_short_set() -> None:
    names = [question.name for question in registry.chosen([], full=True)]
    short = [question.name for question in registry.ALL if question.short]

    assert names[: len(short)] == short
    assert names[len(short) : len(short) + len(registry.FIRST)] == list(registry.FIRST)
    assert sorted(names) == sorted(question.name for question in registry.ALL)


def test_an_environment_that_stays_is_made_once_for_the_questions_that_follow_each_other(tmp_path: Path) -> None:
    told: list[str] = []

    @contextmanager
    def environment() -> Generator[str]:
        told.append("made")
        yield "it"
        told.append("ended")

    @contextmanager
    def side(around: str) -> Generator[Measure]:
        told.append(around)
        yield lambda _: {"requests_per_s": 1.0, "others_cores": 0.0}

    first = Question("1", "?", {"a": side}, environment=environment, stays=True, rounds=1)
    last = Question("3", "?", {"a": Sides().side("a", 1)}, rounds=1)
    found = runner(tmp_path).run([first, replace(first, name="2"), last, replace(first, name="4", stays=False)])

    assert told == ["made", "it", "it", "ended", "made", "it", "ended"]
    assert all(len(answer.rounds) == 1 for answer in found.values())


def test_an_environment_in_which_something_went_wrong_is_made_anew(tmp_path: Path) -> None:
    made: list[str] = []

    @contextmanager
    def environment() -> Generator[None]:
        made.append("made")
        yield

    bad = Sides(troubles=[ValueError("a surprise")]).question(environment=environment, stays=True)
    found = runner(tmp_path).run([bad, Sides().question(name="next", environment=environment, stays=True)])

    assert (made, len(found["next"].rounds)) == (["made"] * 2, 3)


def test_any_trouble_of_one_question_is_told_and_the_next_is_measured(tmp_path: Path) -> None:
    bad = Sides(troubles=[ValueError("a surprise")])

    found = runner(tmp_path).run([bad.question(), Sides().question(name="next")])

    assert found["two"].failed == "ValueError: a surprise"
    assert len(found["next"].rounds) == 3


def test_rounds_of_a_busy_machine_are_measured_again_where_they_are_not_to_be_marked(tmp_path: Path) -> None:
    runner(tmp_path, mark_busy=True).run([Sides(troubles=[{"others_cores": 0.5}]).question()])
    again = Sides()

    found = runner(tmp_path).run([again.question()])["two"]

    assert (found.disturbed, len(found.rounds), len(again.order)) == (0, 3, 2)


def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no-such-program is not installed; it comes with its-package"):
        runner(tmp_path).run([Sides().question(needs={"no-such-program": "its-package"})])


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    found, file = runner(tmp_path).run([Sides().question()]), tmp_path / "results.json"

    results.write(found, file)

    assert results.read(file) == found


def test_a_result_file_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"answers": [{"name": "x", "old": 1}]}))

    with pytest.raises(BenchError, match=r"results\.json cannot be read"):
        results.read(file)


def test_an_attempt_without_an_answer_leaves_the_old_one(tmp_path: Path) -> None:
    old = runner(tmp_path / "1").run([Sides().question()])
    new = runner(tmp_path / "2").run([Sides(troubles=[InvalidRunError("no")] * 3).question()])

    both = results.merged(old, new)

    assert len(both["two"].rounds) == 3
    assert "3 runs were thrown away" in both["two"].failed


GOT = dict.fromkeys(("connect", "read", "write", "status", "timeout"), 0.0) | {"requests": 10.0}


@pytest.mark.parametrize(
    ("got", "busy", "told"),
    [
        ({"status": 2.0, "read": 1.0}, 0.5, "1 read, 2 status errors among 10"),
        ({"requests": 0.0}, 0.5, "not one request"),
        ({}, 0.99, "core was 99% busy: the client was measured"),
    ],
)
def test_a_run_with_errors_or_of_the_client_says_nothing(got: dict[str, float], busy: float, told: str) -> None:
    with pytest.raises(InvalidRunError, match=told):
        check(GOT | got, {"client_core_busy": busy}, paced=False)


def test_a_client_that_asks_at_a_given_rate_may_be_busy() -> None:
    check(GOT, {"client_core_busy": 0.99}, paced=True)


def test_a_load_that_tells_no_result_is_told_in_its_own_words() -> None:
    with pytest.raises(InvalidRunError, match="told no result: unable to connect"):
        parse("", "unable to connect")


def test_an_answer_of_another_status_is_not_loaded() -> None:
    def nothing() -> list[int]:
        return []

    with pytest.raises(InvalidRunError, match="got no answer"):
        Target(port=1, pids=nothing, requests=(Request("/"),)).prove()


def test_names_pick_questions_and_groups_and_an_unknown_one_is_refused() -> None:
    short, full = registry.chosen([], full=False), registry.chosen([], full=True)

    assert {question.name for question in short} < {question.name for question in full}
    assert {question.group for question in registry.chosen(["gateway"], full=False)} == {"gateway"}
    with pytest.raises(BenchError, match="no question and no group is called 'gatway'; there are"):
        registry.chosen(["gatway"], full=False)


def test_names_of_questions_are_different_and_ratios_name_sides_that_exist() -> None:
    names = [question.name for question in registry.ALL]

    assert len(set(names)) == len(names)
    for question in registry.ALL:
        pairs = [(one.left, one.right) for one in question.ratios]
        pairs += [(one.left, one.right) for one in question.differences]
        assert {name for pair in pairs for name in pair} <= set(question.sides), question.name
        if question.axis:
            assert [float(side) for side in question.sides]


def test_the_short_set_takes_at_most_twenty_minutes() -> None:
    assert sum(map(expected_seconds, registry.chosen([], full=False))) < 20 * 60


def test_a_run_whose_reads_came_from_elsewhere_than_the_side_says_is_thrown_away() -> None:
    check_hits(Counter(miss=500), Counter(miss=500, hit=900), 1)
    with pytest.raises(InvalidRunError, match="90% of the reads came from the cache, not 0%"):
        check_hits(Counter(), Counter(miss=100, hit=900), 0)


def test_what_can_be_asked_once_is_asked_in_the_proof_or_the_warm_up_or_the_load() -> None:
    requests = tuple(Request(f"/{number}") for number in range(10))
    target = Target(port=1, pids=list, requests=requests, once=True)

    warm_up, load = target._shared_out()

    assert [*warm_up.requests, *load.requests, requests[-1]] == list(requests)
    assert len(load.requests) == 6


def test_a_question_is_expected_to_take_its_start_and_all_of_its_runs() -> None:
    question = Sides().question(rounds=4, seconds=2, start_seconds=10, side_seconds=3)

    assert expected_seconds(question) == 10 + 4 * 2 * (2 + 3)

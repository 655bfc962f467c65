"""Measuring: the sides of a question in turn, round by round, with bad runs thrown away and half a run gone on with."""

import hashlib
import math
import shutil
import subprocess
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.bench import machine, results
from tests.bench.load import is_disturbed
from tests.bench.questions import BenchError, Figures, InvalidRunError, Question, Side
from tests.bench.results import Answer, Round

TRIES = 3
ROOT = Path(__file__).resolve().parents[2]
PARTIAL = ROOT / ".bench" / "partial.json"
"""The rounds of questions that are not finished; gone when all are."""

ASKED = ("sides", "seconds", "ratios", "differences", "bounds")
"""What must not have changed of a question for its rounds to count still."""

Say = Callable[[str], None]
Name = TypeVar("Name")


@dataclass
class Runner:
    """Measures questions and keeps each round as soon as it is there."""

    say: Say
    mark_busy: bool = False
    """Measure on a busy machine too, and mark what comes out."""
    partial: Path = PARTIAL
    again: bool = False
    """Measure anew where an earlier run has finished all that is asked for, as one wants who asks for it by name."""
    quiet: Callable[[Say], None] = machine.wait_until_quiet
    minutes: float | None = None
    """Begin no question that would not be done within so many from now."""
    finish: Callable[[Answer], None] = lambda _: None
    """Told each answer as soon as it is there."""

    def run(self, questions: Sequence[Question]) -> results.Answers:
        """Every question's answer; those that an earlier run has finished or begun are gone on with.

        What is kept of questions that are not asked now stays. Raises BenchError when the machine is too busy: what
        was measured until then is kept.
        """
        kept = self._kept()
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        begun = {question.name: self._begun(question, kept.get(question.name)) for question in questions}
        if self.again and all(len(begun[question.name].rounds) >= question.rounds for question in questions):
            begun = {question.name: self._begun(question, None) for question in questions}
        with _Environments() as environments:
            return self._run(questions, begun, kept, environments)

    def _run(
        self, questions: Sequence[Question], begun: results.Answers, kept: results.Answers, around: "_Environments"
    ) -> results.Answers:
        end = math.inf if self.minutes is None else time.monotonic() + self.minutes * 60
        asked = []
        for number, question in enumerate(questions, 1):
            self.say(f"{number} of {len(questions)}: {question.name}: {question.asks}")
            left = expected_seconds(question, len(begun[question.name].rounds))
            if time.monotonic() + left > end:
                self.say(f"  left out: it takes about {left / 60:.1f} min, which are no longer there")
                continue
            asked.append(question)
            answer = kept[question.name] = begun[question.name]
            if len(answer.rounds) >= question.rounds:
                self.say("  measured by the run before")
                self.finish(answer)
                continue
            try:
                self._measure(question, answer, around, lambda: results.write(kept, self.partial))
            except BenchError:
                raise
            except Exception as error:  # noqa: BLE001 - one question's surprise must not cost the hour of the others
                answer.failed = str(error) if isinstance(error, InvalidRunError) else f"{type(error).__name__}: {error}"
                self.say(f"  failed: {answer.failed}")
            results.write(kept, self.partial)
            self.finish(answer)
        return {question.name: kept[question.name] for question in asked}

    def finished(self, questions: Sequence[Question]) -> None:
        """Forget what is kept of these; that of others is still to be gone on with."""
        names = {question.name for question in questions}
        left = {name: answer for name, answer in self._kept().items() if name not in names}
        if left:
            results.write(left, self.partial)
        else:
            self.partial.unlink(missing_ok=True)

    def _kept(self) -> results.Answers:
        return results.read(self.partial) if self.partial.exists() else {}

    def _begun(self, question: Question, before: Answer | None) -> Answer:
        """The answer to go on with: that of the run before when it asked the same of the same code, or a new one.

        Rounds of a busy machine are not gone on with where they are not to be marked.
        """
        new = Answer.to(question)
        new.revision = revision()
        if before is None or before.revision != new.revision or not _asks_the_same(before, new):
            return new
        before.failed = ""
        if not self.mark_busy:
            before.rounds = [found for found in before.rounds if not results.is_disturbed_round(found)]
        return before

    def _measure(self, question: Question, answer: Answer, around: "_Environments", keep: Callable[[], None]) -> None:
        refuse_missing(question)
        with around.of(question) as environment:
            for number in range(len(answer.rounds), question.rounds):
                names = turned(list(question.sides), number)
                found: Round = {}
                for name in names:
                    found[name] = self._side(question, answer, name, environment)
                answer.rounds.append({name: found[name] for name in question.sides})
                answer.machine = machine.facts()
                answer.measured = datetime.now(UTC).isoformat(timespec="seconds")
                keep()
                self.say(f"  round {number + 1} of {question.rounds}: {_told(question, found)}")

    def _side(self, question: Question, answer: Answer, name: str, environment: Any) -> Figures:
        for attempt in range(1, TRIES + 1):
            if not self.mark_busy:
                self.quiet(self.say)
            try:
                figures = _measured(question.sides[name], environment, question.seconds)
                if is_disturbed(figures) and not self.mark_busy:
                    raise InvalidRunError(f"others used {figures['others_cores']:.2f} cores meanwhile")  # noqa: TRY301 - told and tried again like the others
            except InvalidRunError as error:
                answer.rejected.append(f"{name}: {error}")
                self.say(f"  {name}: thrown away: {error}")
                if attempt == TRIES:
                    raise InvalidRunError(f"{name}: {TRIES} runs were thrown away, the last because {error}") from error
            else:
                return figures
        raise AssertionError("the last attempt returns or raises")


class _Environments:
    """Makes what a question needs around it, and keeps one that stays until a question needs another."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._make: object = None
        self._made: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @contextmanager
    def of(self, question: Question) -> Generator[Any]:
        """The environment of a question. One in which something went wrong is not kept."""
        if question.environment is not self._make:
            self._end()
        if not question.stays:
            with question.environment() as made:
                yield made
            return
        if self._make is None:
            self._made = self._stack.enter_context(question.environment())
            self._make = question.environment
        try:
            yield self._made
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._make = self._made = None
        self._stack.close()


def prove(questions: Sequence[Question], say: Say) -> list[str]:
    """Start every side once and ask it once, without load; the names of the sides that did not answer as they should.

    What it costs a machine is a start of each process, so that it may run beside other work.
    """
    wrong = []
    for question in questions:
        refuse_missing(question)
        try:
            with question.environment() as environment:
                for name, side in question.sides.items():
                    try:
                        _measured(side, environment, 0)
                    except InvalidRunError as error:
                        wrong.append(f"{question.name}: {name}")
                        say(f"{question.name}: {name}: {error}")
        except InvalidRunError as error:
            wrong.append(question.name)
            say(f"{question.name}: {error}")
        else:
            say(f"{question.name}: {len(question.sides)} sides")
    return wrong


def _measured(side: Side, environment: Any, seconds: float) -> Figures:
    with side(environment) as measure:
        return measure(seconds)


def turned(names: list[Name], number: int) -> list[Name]:
    """The order of a round: each begins with another side, and every second one runs backwards."""
    at = number % len(names)
    order = names[at:] + names[:at]
    return order[::-1] if number % 2 else order


def refuse_missing(question: Question) -> None:
    """Raise BenchError naming the package of a program that is not there."""
    for program, package in question.needs.items():
        if not shutil.which(program, path=search_path()):
            raise BenchError(f"{program} is not installed; it comes with {package}, which `make bench` installs")


def search_path() -> str:
    """Where programs are looked for: Debian keeps servers where not every user's PATH leads."""
    from k8s.node.commands import search_path as found

    return found()


def _told(question: Question, found: Round) -> str:
    figures = {one.figure for one in question.ratios} or {question.curve}
    parts = []
    for name in question.sides:
        values = ", ".join(f"{found[name][figure]:.4g} {figure}" for figure in sorted(figures) if figure in found[name])
        parts.append(f"{name} {values}")
    return " · ".join(parts)


def revision(paths: Iterable[str] = ("services", "tests/bench", "requirements")) -> str:
    """A hash of the code that is measured and that measures, without what is generated."""
    digest = hashlib.sha256()
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *paths],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    for name in sorted(listed.stdout.split("\n")):
        file = ROOT / name
        if name and file.is_file() and file.suffix in {".py", ".txt", ".mjs"}:
            digest.update(name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def expected_seconds(question: Question, done: int = 0) -> float:
    """About how long the rounds of a question that are not done yet take on a quiet machine."""
    left = max(0, question.rounds - done)
    each = len(question.sides) * (question.seconds + question.side_seconds)
    return question.start_seconds + left * each if left else 0.0


def stands(question: Question, written: Answer | None) -> bool:
    """Whether what is written down answers the question as it is asked now, by all of its rounds, none disturbed."""
    return (
        written is not None
        and not written.failed
        and not written.disturbed
        and len(written.rounds) >= question.rounds
        and _asks_the_same(written, Answer.to(question))
    )


def _asks_the_same(before: Answer, new: Answer) -> bool:
    return all(getattr(before, name) == getattr(new, name) for name in ASKED)


def elapsed(since: float) -> str:
    """Minutes and seconds."""
    seconds = round(time.monotonic() - since)
    return f"{seconds // 60} min {seconds % 60} s"


__all__ = ["BenchError", "Runner", "elapsed", "expected_seconds", "prove", "revision", "stands", "turned"]

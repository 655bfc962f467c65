"""`make bench`: measure, write the result file, and make docs/numbers.md from it."""

import argparse
import signal
import sys
import time

from k8s.node import packages
from k8s.node.errors import NodeError
from k8s.node.progress import printer
from tests.bench import check, report, results
from tests.bench.machine import cores
from tests.bench.questions import BenchError, Question
from tests.bench.registry import ALL, chosen
from tests.bench.runner import Runner, elapsed, expected_seconds, prove, stands


def main() -> int:
    """Run one command; the exit code, with failures told in one sentence."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended in order
    arguments = _parser().parse_args()
    try:
        return _run(arguments)
    except (BenchError, NodeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on with the next round", file=sys.stderr)
        return 130
    return 1


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "list":
        _list()
        return 0
    if arguments.command == "report":
        report.write(results.read())
        return 0
    questions = chosen(arguments.only, full=arguments.full)
    if arguments.command == "run" and arguments.full and not arguments.only and not arguments.fresh:
        questions = _missing(questions)
    _install(questions)
    cores().claim()
    if arguments.command == "prove":
        return 1 if prove(questions, printer()) else 0
    expected = sum(map(expected_seconds, questions)) / 60
    printer()(f"{len(questions)} questions, about {expected:.0f} min on a quiet machine")
    runner = Runner(say=printer(), mark_busy=arguments.mark_busy, again=bool(arguments.only), minutes=arguments.minutes)
    if arguments.fresh:
        runner.finished(questions)
    return _check(runner, questions) if arguments.command == "check" else _measure(runner, questions)


def _missing(questions: list[Question]) -> list[Question]:
    """Those without an answer that stands; the others are told with the day of theirs."""
    written = results.read()
    there = [question for question in questions if stands(question, written.get(question.name))]
    for question in there:
        printer()(f"{question.name}: measured {written[question.name].measured[:10]}, kept; FRESH=1 measures it again")
    return [question for question in questions if question not in there]


def _check(runner: Runner, questions: list[Question]) -> int:
    found = runner.run(questions)
    worse = check.compare(found, results.read())
    runner.finished(questions)
    return 1 if worse or any(answer.failed for answer in found.values()) else 0


def _measure(runner: Runner, questions: list[Question]) -> int:
    """Each answer is written down as soon as it is there, and the page at the end, however that comes."""
    begin = time.monotonic()
    runner.finish = lambda answer: results.write(results.merged(results.read(), {answer.name: answer}))
    try:
        found = runner.run(questions)
    finally:
        report.write(results.read())
    failed = [answer.name for answer in found.values() if answer.failed]
    print(f"measured {len(found) - len(failed)} of {len(questions)} questions in {elapsed(begin)}: docs/numbers.md")
    if failed:
        print(
            f"without an answer, and why is in docs/numbers.md: {', '.join(failed)}; the same command measures these "
            "again and no other, with FRESH=1 all",
            file=sys.stderr,
        )
        return 1
    if len(found) == len(questions):
        runner.finished(questions)
    return 0


def _list() -> None:
    for question in ALL:
        minutes = expected_seconds(question) / 60
        kind = "short" if question.short else "full"
        print(f"{question.group:8} {question.name:24} {kind:5} {minutes:5.1f} min  {question.asks}")
    written = results.read()
    missing = [question for question in ALL if not stands(question, written.get(question.name))]
    for kind, questions in (
        ("the short set", chosen([], full=False)),
        ("everything", list(ALL)),
        ("not measured yet", missing),
    ):
        print(f"{kind}: {len(questions)} questions, {sum(map(expected_seconds, questions)) / 60:.1f} min")


def _install(questions: list[Question]) -> None:
    wanted = {package: program for question in questions for program, package in question.needs.items()}
    packages.ensure(
        printer(), {**wanted, **{name: packages.FOR_TESTS[name] for name in ("postgresql", "redis-server")}}
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every question")
    commands.add_parser("report", help="docs/numbers.md again, from the result file")
    texts = (
        ("run", "measure and report"),
        ("prove", "start every side and ask it once, without load: whether all of it can be measured"),
        ("check", "measure, and compare with the result file"),
    )
    for name, text in texts:
        command = commands.add_parser(name, help=text, allow_abbrev=False)
        command.add_argument("--full", action="store_true", help="every question, not the short set alone")
        command.add_argument("--only", action="append", default=[], metavar="NAME", help="a question or a group")
        command.add_argument("--fresh", action="store_true", help="forget the rounds that an earlier run has kept")
        command.add_argument("--minutes", type=float, metavar="N", help="begin nothing that takes longer than is left")
        command.add_argument("--mark-busy", action="store_true", help="measure on a busy machine too, and say so")
    return parser


if __name__ == "__main__":
    sys.exit(main())

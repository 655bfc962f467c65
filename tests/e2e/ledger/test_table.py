"""The page is that of the kept results."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.ledger import results, table
from tests.e2e.ledger.book import Attempt, Book, Entry
from tests.e2e.ledger.caller import PATIENT
from tests.e2e.ledger.findings import judge


def made(event: str) -> results.Result:
    """The figures of one write that needed two attempts, and of one read that failed."""
    book = Book()
    book.add(Entry("create", "a", 0, 1, served=True, attempts=[Attempt(0, 0, "503"), Attempt(0, 0, "201")]))
    book.add(Entry("read", "a", 0, attempts=[Attempt(0, 0, "504")]))
    return results.result(event, "test_x", book, judge(book, [("a", 1), ("a", 1)]), PATIENT)


def test_the_figures_are_those_of_the_book() -> None:
    found = made("all gone")

    assert (found.writes, found.reads, found.retried, found.failed) == (1, 1, 1, 1)
    assert (found.lost, found.doubled, found.stale) == (0, 1, 0)
    assert found.answers == {"201": 1, "503": 1, "504": 1}
    assert "| all gone | yes | 1 | 1 | 1 | 1 | 0 | 1 | 0 | 0 of 0 | 0.0 s |" in table.table([found])


def test_a_newer_run_of_the_same_event_takes_the_place_of_the_older(tmp_path: Path) -> None:
    file = tmp_path / "new" / "results.json"
    first, second = made("one"), made("two")
    again = replace(first, writes=7)

    results.write(results.merged([first, second], [again]), file)

    assert results.read(file) == [again, second]


def test_a_file_without_results_is_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main([str(tmp_path / "none.json")]) == 1
    assert "none.json holds no results" in capsys.readouterr().out


def test_the_page_was_made_of_the_kept_results() -> None:
    assert table.PAGE.read_text() == table.page(results.read()), "run `python -m tests.e2e.ledger.table`"

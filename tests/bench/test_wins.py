"""What was made cheaper is told with its spread, whichever way it went."""

import json
from pathlib import Path

from tests.bench.wins import Win, read, table


def test_a_row_says_what_was_before_and_after_and_how_sure_that_is(tmp_path: Path) -> None:
    file = tmp_path / "wins.json"
    won = {"title": "Half", "on": ["log"], "measured": "2026-11-29", "before": [200, 220, 180], "after": [100, 110, 90]}
    file.write_text(json.dumps([won, {**won, "title": "Worse", "on": [], "after": [400, 440, 360]}]))

    rows = list(table(read(file)))

    assert "| Half | log | 200 | 100 | 0.5 (0.5 to 0.5) | 2026-11-29 |" in rows
    assert "| Worse | nothing on | 200 | 400 | 2 (2 to 2) | 2026-11-29 |" in rows


def test_what_is_committed_has_as_many_rounds_of_both() -> None:
    wins: list[Win] = read()

    assert wins
    assert all(len(win.before) == len(win.after) > 1 for win in wins)

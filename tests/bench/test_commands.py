"""What commands take is told in few words, and kept once for each."""

import json
from pathlib import Path

import pytest

from tests.bench import commands


@pytest.mark.parametrize(
    ("seconds", "words"), [(2.6, "3 s"), (110.2, "1 min 50 s"), (120, "2 min"), (540.9, "9 min"), (880, "15 min")]
)
def test_a_time_is_told_in_few_words(seconds: float, words: str) -> None:
    assert commands.told(seconds) == words


def test_what_is_measured_again_takes_the_place_of_what_was(tmp_path: Path) -> None:
    file = tmp_path / "commands.json"
    file.write_text(json.dumps([{"what": "make up", "found": "9 s", "measured": "2026-01-01"}]))
    new = commands.Noted("make up", "8 s", "2026-01-02")

    commands.write(new, file)
    commands.write(commands.Noted("make down", "1 s", "2026-01-02"), file)

    assert commands.read(file)[0] == new
    assert "| make up | 8 s | 2026-01-02 |" in list(commands.table(commands.read(file)))

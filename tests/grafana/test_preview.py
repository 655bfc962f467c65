"""The preview where there is nothing to ask: units, legends, sentences in the place of pictures."""

import math
import sys
from pathlib import Path

import pytest

from grafana import preview
from grafana.boards import ALL
from grafana.drawing.answers import Answer, Window, named
from grafana.drawing.board import NO_DATA, key, picture
from grafana.panels import Panel, Target
from grafana.units import written
from tests.support.servers import free_port


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "percentunit", "1.23%"),
        (0.0005, "s", "500 µs"),
        (0.25, "s", "250 ms"),
        (90, "dtdurations", "1.5 min"),
        (1536, "bytes", "1.5 KiB"),
        (3 * 2**20, "Bps", "3 MiB/s"),
        (12_345, "short", "12.3K"),
        (7.5, "reqps", "7.5 req/s"),
        (0, "s", "0 s"),
        (120, "short", "120"),
    ],
)
def test_numbers_are_written_as_grafana_writes_them(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text


def test_a_legend_is_filled_with_labels() -> None:
    assert named("{{service}} {{reason}}", {"service": "items", "reason": "away"}) == "items away"
    assert named("{{pod}}", {}) == "value"


def test_an_interval_holds_four_scrapes_and_a_step() -> None:
    assert Window(0, 60, 15).rate_interval == "60s"
    assert Window(0, 86_400, 15).rate_interval == "735s"


@pytest.mark.parametrize(
    ("expr", "names", "sentence"),
    [
        ("kube_pod_info", set(), "kube-state-metrics is not scraped here"),
        ("pg_up + redis_up", {"redis_up"}, "postgres_exporter is not scraped here"),
        ("container_a", set(), "the kubelet is not scraped here"),
        ("container_a + kubelet_volume_stats_b", {"container_c"}, "none"),
        ("x_total", {"x_total"}, "none"),
        ("x_total", set(), "none"),
    ],
)
def test_an_empty_panel_says_why(expr: str, names: set[str], sentence: str) -> None:
    panel = Panel("stat", "A", "B.", "short", (Target(expr, "c"),), quiet="none")

    assert preview.reason(panel, names) == sentence


def test_a_panel_that_should_not_be_empty_is_told_as_such() -> None:
    assert preview.reason(Panel("stat", "A", "B.", "short", (Target("up", "c"),)), {"up"}) == NO_DATA


def test_a_dashboard_without_answers_is_drawn_with_its_sentences() -> None:
    board = ALL[0]

    drawn = picture(board, {key(row.title, panel): "nothing" for row in board.rows for panel in row.panels})

    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) < 150_000


def test_without_an_address_it_says_how_to_give_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["preview"])

    assert preview.main() == 1
    assert "PROMETHEUS=http://" in capsys.readouterr().err


def test_a_prometheus_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr(sys, "argv", ["preview", "--prometheus", url, "--out", str(tmp_path)])

    assert preview.main() == 1
    assert url in capsys.readouterr().err


def test_a_line_ends_where_points_are_missing() -> None:
    answer = Answer("a", {}, "a", [(0, 1), (1, 1), (5, 2)])

    assert [moment for moment, value in answer.with_gaps() if math.isnan(value)] == [2]

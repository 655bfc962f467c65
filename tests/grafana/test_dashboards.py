"""The dashboards as Grafana would take them: what its schema asks for, and what we ask beyond it."""

import importlib
import inspect
import json
import pkgutil
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from grafana import build, queries
from grafana.board_json import board_json
from grafana.boards import ALL
from grafana.panels import Board

Json = dict[str, Any]
FILES = sorted(build.DASHBOARDS.glob("*.json"))
UNITS = {"short", "reqps", "ops", "s", "percentunit", "bytes", "Bps", "dtdurations"}
"""Ids of Grafana's own units that are in use here: a wrong one is shown as a suffix and scales nothing."""
BUILT_IN = {"__rate_interval", "__field"}
NAMES = ["platform", "service", "gateway", "auth", "items", "postgres", "redis", "workloads", "rollout"]


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def dashboard(request: pytest.FixtureRequest) -> Json:
    """One dashboard as committed."""
    read: Json = json.loads(Path(request.param).read_text())
    return read


def panels(dashboard: Json) -> list[Json]:
    """Without the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_the_nine_dashboards_are_there() -> None:
    assert [path.stem for path in FILES] == sorted(NAMES)
    assert [board.uid for board in ALL] == [f"slipway-{name}" for name in NAMES]


def test_what_is_committed_is_what_the_code_says() -> None:
    assert build.stale(build.wanted()) == [], "run `make dashboards`"


def test_a_file_that_differs_is_missing_or_left_over_is_stale_and_mended(tmp_path: Path) -> None:
    files = {tmp_path / name: name for name in ("a.json", "b.json")}
    (tmp_path / "a.json").write_text("other")
    (tmp_path / "c.json").write_text("left over")

    assert [path.name for path in build.write(files)] == ["a.json", "b.json", "c.json"]
    assert build.stale(files) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_every_field_that_grafana_needs_is_there(dashboard: Json) -> None:
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time", "refresh"} <= dashboard.keys()
    assert dashboard["schemaVersion"] >= 41
    assert re.fullmatch(r"[a-z0-9-]{1,40}", dashboard["uid"])
    for panel in panels(dashboard):
        assert {"id", "type", "title", "gridPos", "datasource", "targets", "fieldConfig", "options"} <= panel.keys()
        assert panel["fieldConfig"].keys() == {"defaults", "overrides"}
        assert panel["gridPos"].keys() == {"x", "y", "w", "h"}


def test_uids_ids_and_titles_are_there_once(dashboard: Json) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]

    assert len({board.uid for board in ALL}) == len(ALL)
    assert len(set(ids)) == len(ids)
    for panel in panels(dashboard):
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0


def test_no_panel_lies_over_another_or_outside(dashboard: Json) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]

    assert all(p["x"] >= 0 and p["y"] >= 0 and p["w"] > 0 and p["h"] > 0 and p["x"] + p["w"] <= 24 for p in places)
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, (a, b)


def test_rows_are_filled_to_the_edge(dashboard: Json) -> None:
    widths: dict[int, int] = {}
    for panel in panels(dashboard):
        widths[panel["gridPos"]["y"]] = widths.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]

    assert set(widths.values()) == {24}


def test_every_query_asks_the_chosen_data_source(dashboard: Json) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}

    for panel in panels(dashboard):
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])


def test_data_source_namespace_service_and_pod_can_be_chosen(dashboard: Json) -> None:
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}

    assert list(variables)[:4] == ["datasource", "namespace", "service", "pod"]
    assert variables["datasource"]["type"] == "datasource"
    for name in ("namespace", "service", "pod"):
        assert variables[name]["definition"].startswith("label_values(")
        assert variables[name]["includeAll"]


def test_only_known_variables_are_used(dashboard: Json) -> None:
    known = {variable["name"] for variable in dashboard["templating"]["list"]} | BUILT_IN

    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))

    assert used <= known | {"__all"}


def test_every_panel_says_what_it_shows_in_which_unit(dashboard: Json) -> None:
    for panel in panels(dashboard):
        units = {panel["fieldConfig"]["defaults"]["unit"]}
        units |= {p["value"] for o in panel["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "unit"}
        assert units <= UNITS, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"])


def test_thresholds_rise_from_a_colour_without_a_value(dashboard: Json) -> None:
    for panel in panels(dashboard):
        first, *steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert first["value"] is None
        assert [step["value"] for step in steps] == sorted(step["value"] for step in steps)


def test_runbooks_and_traces_are_one_click_away(dashboard: Json) -> None:
    assert {"${runbooks}", "${traces}/search"} <= {link.get("url") for link in dashboard["links"]}
    assert any(panel.get("links") for panel in panels(dashboard))


@pytest.mark.parametrize("board", ALL, ids=lambda board: board.uid)
def test_writing_twice_gives_the_same(board: Board) -> None:
    assert board_json(board) == board_json(board)


def test_every_query_is_on_a_dashboard() -> None:
    used = {target.expr for board in ALL for panel in board.panels for target in panel.targets}
    parts = "\n".join(used)

    for module in pkgutil.iter_modules(queries.__path__, "grafana.queries."):
        if module.name.endswith("selectors"):
            continue
        for name, value in inspect.getmembers(importlib.import_module(module.name)):
            if name.isupper() and isinstance(value, str):
                assert value in parts, f"{module.name}.{name} is asked by no panel"

"""The alerts: each with a page, a unit test and a promise; promtool judges the rules themselves."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import build, rules
from grafana.alerts import ALL
from grafana.alerts.model import Alert
from grafana.board_json import RUNBOOKS
from grafana.boards import ALL as BOARDS
from tests.support.prometheus import prometheus_program

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "runbooks"
RULES = ROOT / "grafana" / "alerts.yaml"
TESTS = ROOT / "grafana" / "alerts_test.yaml"
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def loaded(path: Path) -> dict[str, Any]:
    """A committed file."""
    read: dict[str, Any] = yaml.safe_load(path.read_text())
    return read


def committed() -> list[dict[str, Any]]:
    """The alerts of the committed file."""
    return [rule for group in loaded(RULES)["groups"] for rule in group["rules"] if "alert" in rule]


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool in the folder of the rules."""
    command = [str(prometheus_program("promtool")), *map(str, words)]
    return subprocess.run(command, cwd=RULES.parent, capture_output=True, text=True, timeout=120, check=False)


def test_what_is_committed_is_what_the_code_says() -> None:
    assert RULES.read_text() == rules.rules_yaml(), "run `make dashboards`"
    assert TESTS.read_text() == rules.tests_yaml(), "run `make dashboards`"


def test_names_are_there_once() -> None:
    names = [alert.name for alert in ALL]

    assert len(set(names)) == len(names)
    assert [rule["alert"] for rule in committed()] == names


@pytest.mark.parametrize("alert", ALL, ids=lambda alert: alert.name)
def test_every_alert_has_a_page_that_says_what_to_do(alert: Alert) -> None:
    page = (PAGES / f"{alert.name}.md").read_text()

    title, *sections = re.split(r"^#+ ", page, flags=re.MULTILINE)[1:]
    assert title.strip() == alert.name
    assert [section.splitlines()[0] for section in sections] == SECTIONS
    assert all(len(section.splitlines()) > 2 for section in sections)


def test_no_page_is_without_its_alert_and_no_link_leads_nowhere() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {alert.name for alert in ALL}
    for page in PAGES.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (PAGES / link).exists(), f"{page.name} links to {link}"


def test_panels_lead_to_pages_that_are_there() -> None:
    linked = {panel.runbook for board in BOARDS for panel in board.panels if panel.runbook}

    assert linked <= {alert.name for alert in ALL}


def test_every_alert_is_tested_quiet_a_minute_before_and_firing_at_the_minute() -> None:
    tested = {test["name"]: test["alert_rule_test"] for test in loaded(TESTS)["tests"]}

    assert tested.keys() == {alert.name for alert in ALL}
    for name, (before, at) in tested.items():
        assert before["alertname"] == at["alertname"] == name
        assert int(at["eval_time"][:-1]) - int(before["eval_time"][:-1]) == 1
        assert before["exp_alerts"] == []
        assert len(at["exp_alerts"]) == 1


def test_every_alert_says_how_urgent_it_is_and_where_its_page_is() -> None:
    for rule in committed():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{rule['alert']}.md")


def test_promtool_finds_no_fault() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES.name)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_when_it_should_and_not_a_minute_before() -> None:
    done = promtool("test", "rules", TESTS.name)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_threshold_that_is_moved_makes_its_unit_test_fail(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(RULES.read_text().replace("revocations_silence_seconds) > 5", "x) > 99"))
    (tmp_path / TESTS.name).write_text(TESTS.read_text())

    done = promtool("test", "rules", tmp_path / TESTS.name)

    assert done.returncode != 0
    assert "RevocationsSilent" in done.stdout + done.stderr


def test_the_charts_copy_says_the_same_once_its_windows_are_filled_in() -> None:
    text = (build.CHART / "rules.yaml").read_text()
    text = re.sub(r"__[wf](\d+)__", r"\1s", text).replace("__RUNBOOKS__", RUNBOOKS)

    chart = {rule.get("alert", rule.get("record")): rule for g in yaml.safe_load(text)["groups"] for rule in g["rules"]}

    for group in loaded(RULES)["groups"][1:]:
        for rule in group["rules"]:
            copied = chart[rule.get("alert", rule.get("record"))]
            assert {**copied, "expr": in_seconds(copied["expr"]), "for": in_seconds(copied.get("for", ""))} == {
                **rule, "expr": in_seconds(rule["expr"]), "for": in_seconds(rule.get("for", ""))
            }  # fmt: skip


def in_seconds(text: str) -> str:
    """Durations in one unit."""
    return re.sub(r"\b(\d+)([mhd])\b", lambda found: f"{int(found[1]) * rules.UNITS[found[2]]}s", text)

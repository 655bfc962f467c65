"""The alerts as Prometheus reads them, their unit tests as promtool does, and the chart's copy with open windows."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from grafana.alerts import ALL, GROUPS, objectives
from grafana.alerts.model import Alert, Record
from grafana.board_json import RUNBOOKS

Json = dict[str, Any]
HEAD = "# Written by `make dashboards` from grafana/alerts: change it there.\n"
OBJECTIVES = "slipway-slo-objectives"
UNITS = {"m": 60, "h": 3600, "d": 86400}


def rules_yaml() -> str:
    """grafana/alerts.yaml, for any Prometheus and a release in the namespace `slipway`."""
    return HEAD + _dump({"groups": [{"name": OBJECTIVES, "rules": _records(objectives.OBJECTIVE_RECORDS)}, *_groups()]})


def chart_yaml() -> str:
    """The chart's copy: without objectives, which are values, and each window as seconds to scale.

    `__w300__` is a window, which must hold some scrapes however far it is scaled down; `__f300__` is how long a
    condition must hold, which may come to nothing.
    """
    text = yaml.safe_dump({"groups": _groups()}, sort_keys=False, width=100_000)
    text = re.sub(r"\[(\d+)([mhd])\]", lambda found: f"[__w{_seconds(found)}__]", text)
    text = re.sub(r"offset (\d+)([mhd])", lambda found: f"offset __w{_seconds(found)}__", text)
    text = re.sub(r"for: (\d+)([mhd])", lambda found: f"for: __f{_seconds(found)}__", text)
    return HEAD + text.replace(RUNBOOKS, "__RUNBOOKS__")


def tests_yaml() -> str:
    """grafana/alerts_test.yaml: each alert quiet a minute before, firing at the minute."""
    groups = [OBJECTIVES, "slipway-slo-records", *GROUPS]
    return HEAD + _dump(
        {
            "rule_files": ["alerts.yaml"],
            "evaluation_interval": "1m",
            "group_eval_order": groups,
            "tests": [_test(alert) for alert in ALL],
        }
    )


def _groups() -> list[Json]:
    return [
        {"name": "slipway-slo-records", "rules": _records(objectives.RECORDS)},
        *({"name": name, "rules": [_rule(alert) for alert in alerts]} for name, alerts in GROUPS.items()),
    ]


def _records(records: tuple[Record, ...]) -> list[Json]:
    return [
        {"record": record.name, "expr": record.expr} | ({"labels": dict(record.labels)} if record.labels else {})
        for record in records
    ]


def _rule(alert: Alert) -> Json:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": f"{alert.minutes}m",
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "runbook_url": _runbook(alert)},
    }


def _test(alert: Alert) -> Json:
    proof = alert.proof
    fired = {
        "exp_labels": {"severity": alert.severity, **proof.labels},
        "exp_annotations": {"summary": _filled(alert.summary, proof.labels), "runbook_url": _runbook(alert)},
    }
    return {
        "name": alert.name,
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in proof.series.items()],
        "alert_rule_test": [
            {"alertname": alert.name, "eval_time": f"{proof.fires - 1}m", "exp_alerts": []},
            {"alertname": alert.name, "eval_time": f"{proof.fires}m", "exp_alerts": [fired]},
        ],
    }


def _runbook(alert: Alert) -> str:
    return f"{RUNBOOKS}/{alert.name}.md"


def _filled(summary: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], summary)


def _seconds(found: re.Match[str]) -> int:
    return int(found[1]) * UNITS[found[2]]


def _dump(value: Json) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=120, allow_unicode=True)

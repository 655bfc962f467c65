"""Every PromQL expression of the repository, by where it stands, for tests that ask a live Prometheus."""

import re
from collections.abc import Iterator

import yaml

from grafana.boards import ALL
from tests.support.processes import ROOT


def expressions() -> Iterator[tuple[str, str]]:
    """(where it stands, expression) of dashboards, alerts, recording rules, and the documents' promql blocks."""
    for board in ALL:
        for panel in board.panels:
            for target in panel.targets:
                yield f"{board.uid}: {panel.title}: {target.legend}", target.expr
    for group in yaml.safe_load((ROOT / "grafana" / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield f"{group['name']}: {rule.get('alert', rule.get('record'))}", rule["expr"]
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for number, block in enumerate(re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL)):
            yield f"{page.relative_to(ROOT)}: block {number + 1}", block.strip()


EXPRESSIONS = dict(expressions())


def without_thresholds(expr: str) -> str:
    """The expression with comparisons that answer 0 or 1: an alert that is quiet has an answer as well."""
    parts = re.split(r'("[^"]*"|\{[^}]*\})', expr)
    bare = [re.sub(r"(==|!=|>=|<=|>|<)\s*(?!bool)", r"\1 bool ", part) for part in parts[::2]]
    return "".join(a + b for a, b in zip(bare, [*parts[1::2], ""], strict=True))

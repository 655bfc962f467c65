"""What Prometheus answered to a panel, named as its legend says."""

import math
import re
from dataclasses import dataclass

from grafana.panels import Panel
from grafana.prometheus import Prometheus
from grafana.promql import filled

STEPS = 120
"""Points of a line."""


@dataclass(frozen=True)
class Answer:
    """One line, figure or cell."""

    legend: str
    labels: dict[str, str]
    column: str
    points: list[tuple[float, float]]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


@dataclass(frozen=True)
class Window:
    """The time shown, in seconds since 1970, and how far apart scrapes are."""

    start: float
    end: float
    scrape_seconds: float

    @property
    def step(self) -> float:
        """Between two points."""
        return max((self.end - self.start) / STEPS, 1)

    @property
    def rate_interval(self) -> str:
        """As Grafana reckons it: a step and a scrape, and never less than four scrapes."""
        return f"{math.ceil(max(self.step + self.scrape_seconds, 4 * self.scrape_seconds))}s"


def ask(prometheus: Prometheus, panel: Panel, window: Window) -> list[Answer]:
    """Every query of the panel; lines over the window, all else as of its end. Raises PrometheusError."""
    answers = []
    for target in panel.targets:
        expr = filled(target.expr, interval=window.rate_interval)
        if panel.kind == "timeseries":
            found = prometheus.query_range(expr, start=window.start, end=window.end, step=window.step)
        else:
            found = prometheus.query(expr, at=window.end)
        for series in found:
            points = [(moment, value) for moment, value in series.points if not math.isnan(value)]
            if points:
                answers.append(Answer(named(target.legend, series.labels), series.labels, target.legend, points))
    return sorted(answers, key=lambda answer: answer.legend)


def named(legend: str, labels: dict[str, str]) -> str:
    """The legend with its `{{label}}` filled in."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip() or "value"

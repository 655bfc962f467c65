"""What Prometheus answered to a panel, named as its legend says."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from grafana.panels import Board, Panel
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

    def with_gaps(self) -> list[tuple[float, float]]:
        """The points, and no value where some are missing between two of them: a line ends there."""
        step = min((b[0] - a[0] for a, b in pairwise(self.points)), default=0.0)
        points = self.points[:1]
        for before, after in pairwise(self.points):
            if after[0] - before[0] > 1.5 * step:
                points.append((before[0] + step, math.nan))
            points.append(after)
        return points


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


def variables(prometheus: Prometheus, board: Board, window: Window) -> dict[str, str]:
    """What the variables stand for when all is chosen: the services of the source. Raises PrometheusError."""
    if board.services:  # a list of its own, of which all is all
        return {}
    found = {series.labels.get("service", "") for series in prometheus.query(board.source, at=window.end)}
    return {"service": "|".join(sorted(found)) or ".*"}


def ask(prometheus: Prometheus, panel: Panel, window: Window, values: Mapping[str, str]) -> list[Answer]:
    """Every query of the panel; lines over the window, all else as of its end. Raises PrometheusError."""
    answers = []
    for target in panel.targets:
        expr = filled(target.expr, values, interval=window.rate_interval)
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

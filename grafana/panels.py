"""Panels as values: what is asked, in which unit, and from where on it is bad. `grafana.panel_json` writes them out."""

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["timeseries", "stat", "table", "bargauge"]
Threshold = tuple[float, str]
"""From this value on, this colour; below the first it is green."""

GREEN, ORANGE, RED = "green", "orange", "red"
ONE_IS_WELL: tuple[Threshold, ...] = ((0, RED), (1, GREEN))


@dataclass(frozen=True)
class Target:
    """One query; `legend` names its lines by labels (`{{service}}`), in a table its column."""

    expr: str
    legend: str
    unit: str = ""
    """Of a table's column; empty: the panel's."""


@dataclass(frozen=True)
class Panel:
    """One picture of one or more queries. Sizes are in Grafana's grid of 24 columns."""

    kind: Kind
    title: str
    description: str
    unit: str
    targets: tuple[Target, ...]
    width: int = 8
    height: int = 7
    thresholds: tuple[Threshold, ...] = ()
    runbook: str = ""
    """Name of the alert whose page says what to do."""
    stacked: bool = False
    exemplars: bool = False
    """Dots that lead to a trace of a slow request."""
    maximum: float | None = None
    quiet: str = ""
    """Why it may be empty while all is well; shown in its place."""

    def wide(self, width: int, height: int | None = None) -> "Panel":
        """The same in another size."""
        return replace(self, width=width, height=height or self.height)


@dataclass(frozen=True)
class Row:
    """Panels under one heading, set from left to right and wrapped at 24 columns."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard. Its uid is its file's name and never changes: links and bookmarks hold it."""

    uid: str
    title: str
    description: str
    source: str
    """The metric whose labels fill the variables namespace, service and pod."""
    rows: tuple[Row, ...]
    services: str = ""
    """What fills the variable service; empty: the services of `source`."""
    pods: str = ""
    """What fills the variable pod; empty: the pods of `source`."""

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All of them, from top to bottom."""
        return tuple(panel for row in self.rows for panel in row.panels)


def series(title: str, description: str, unit: str, *targets: tuple[str, str], **more: object) -> Panel:
    """Lines over time; a target is (query, legend)."""
    return _panel("timeseries", (title, description, unit), targets, more)


def stat(title: str, description: str, unit: str, *targets: tuple[str, str], **more: object) -> Panel:
    """Last values as large figures."""
    return _panel("stat", (title, description, unit), targets, {"width": 4, "height": 4, **more})


def bars(title: str, description: str, unit: str, *targets: tuple[str, str], **more: object) -> Panel:
    """Last values as bars."""
    return _panel("bargauge", (title, description, unit), targets, more)


def table(title: str, description: str, *targets: tuple[str, str, str], **more: object) -> Panel:
    """Last values side by side, a row for each set of labels; a target is (query, column, unit)."""
    made = Panel("table", title, description, "short", tuple(Target(*target) for target in targets), width=24)
    return replace(made, **more)  # type: ignore[arg-type] # names of fields, which dataclasses check


def _panel(
    kind: Kind, words: tuple[str, str, str], targets: tuple[tuple[str, str], ...], more: dict[str, object]
) -> Panel:
    made = Panel(kind, *words, tuple(Target(*target) for target in targets))
    return replace(made, **more)  # type: ignore[arg-type] # names of fields, which dataclasses check

"""A dashboard as Grafana reads it: variables, links, panels in their places."""

from typing import Any

from grafana.panel_json import COLUMNS, DATASOURCE, Json, panel_json, row_json
from grafana.panels import Board

SCHEMA = 41
RUNBOOKS = "https://git.example.com/slipway/docs/runbooks"
"""Where the pages are read, unless the variable of the dashboard says otherwise."""
TRACES = "http://localhost:16686"
"""Jaeger, by the port-forward of its chart."""


def board_json(board: Board) -> Json:
    """The dashboard."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["slipway"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "annotations": {"list": []},
        "links": _links(),
        "templating": {"list": _variables(board)},
        "panels": _panels(board),
    }


def _links() -> list[Json]:
    others = {"type": "dashboards", "title": "Slipway", "tags": ["slipway"], "asDropdown": True, "includeVars": True}
    return [
        others | {"keepTime": True, "targetBlank": False},
        {"type": "link", "title": "Runbooks", "url": "${runbooks}", "icon": "doc", "targetBlank": True},
        {"type": "link", "title": "Traces", "url": "${traces}/search", "icon": "external link", "targetBlank": True},
    ]


def _variables(board: Board) -> list[Json]:
    scope = 'namespace=~"$namespace"'
    services = f"label_values({board.source}{{{scope}}}, service)"
    pods = f'label_values({board.source}{{{scope}, service=~"$service"}}, pod)'
    return [
        {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "hide": 0},
        _labels("namespace", f"label_values({board.source}, namespace)"),
        _labels("service", board.services or services),
        _labels("pod", board.pods or pods),
        _text("runbooks", "Where the runbooks are", RUNBOOKS),
        _text("traces", "Where Jaeger is", TRACES),
    ]


def _labels(name: str, query: str) -> Json:
    """Without a value of its own for all: Grafana then asks for those in the list, and for no other service."""
    return {
        "type": "query",
        "name": name,
        "label": name.capitalize(),
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,  # with the time range: pods come and go
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }


def _text(name: str, label: str, value: str) -> Json:
    current = {"selected": True, "text": value, "value": value}
    return {"type": "textbox", "name": name, "label": label, "query": value, "current": current, "hide": 2}


def _panels(board: Board) -> list[Json]:
    """Rows from top to bottom; in a row from left to right, and down where the width is used up."""
    written: list[Json] = []
    top, number = 0, 1
    for row in board.rows:
        written.append(row_json(row.title, number, top))
        top, number = top + 1, number + 1
        left = tallest = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            place: dict[str, Any] = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            written.append(panel_json(panel, number, place))
            left, number, tallest = left + panel.width, number + 1, max(tallest, panel.height)
        top += tallest
    return written

"""A panel as Grafana reads it (schema version 41, Grafana 11 and later)."""

from collections.abc import Iterator
from typing import Any

from grafana.panels import Panel, Target

COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
Json = dict[str, Any]


def panel_json(panel: Panel, number: int, place: Json) -> Json:
    """The panel with its id and its place in the grid."""
    written: Json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(panel, target, letter) for target, letter in zip(panel.targets, "ABCDEFGH", strict=False)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(_overrides(panel))},
        "options": OPTIONS[panel.kind],
    }
    if panel.runbook:
        written["links"] = [
            {"title": "Runbook", "url": f"${{runbooks}}/{panel.runbook}.md", "targetBlank": True},
        ]
    if panel.kind == "table":
        written["transformations"] = _merged(panel)
    return written


def row_json(title: str, number: int, top: int) -> Json:
    """A heading; the panels below it stand beside it in the list."""
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
        "panels": [],
    }


def _target(panel: Panel, target: Target, letter: str) -> Json:
    instant = panel.kind != "timeseries"
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": target.expr,
        "legendFormat": target.legend,
        "format": "table" if panel.kind == "table" else "time_series",
        "instant": instant,
        "range": not instant,
        "exemplar": panel.exemplars,
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": value} for value, color in panel.thresholds]
    defaults: Json = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "links": [TRACES] if panel.exemplars else [],
    }
    if panel.quiet:
        defaults["noValue"] = panel.quiet
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 40 if panel.stacked else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if panel.thresholds else "off"},
        }
    return defaults


TRACES = {
    "title": "Traces of the service",
    "url": "${traces}/search?service=${__field.labels.service}&lookback=1h",
    "targetBlank": True,
}

_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
OPTIONS: dict[str, Json] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": _REDUCED,
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    },
    "bargauge": {
        "reduceOptions": _REDUCED,
        "displayMode": "basic",
        "orientation": "horizontal",
        "showUnfilled": True,
        "valueMode": "color",
    },
    "table": {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
}


def _overrides(panel: Panel) -> Iterator[Json]:
    if panel.kind == "table":
        for target in panel.targets:
            properties = [{"id": "unit", "value": target.unit or panel.unit}]
            yield {"matcher": {"id": "byName", "options": target.legend}, "properties": properties}


def _merged(panel: Panel) -> list[Json]:
    if len(panel.targets) > 1:
        names = {f"Value #{letter}": target.legend for target, letter in zip(panel.targets, "ABCDEFGH", strict=False)}
    else:  # Grafana numbers values only where there are several
        names = {"Value": panel.targets[0].legend}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": names}},
    ]

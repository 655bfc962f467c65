"""What a query asks for: its metrics, and its text once a dashboard's variables have values."""

import re
from collections.abc import Mapping

WORDS = {
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "atan2",
}
"""PromQL's own words that no bracket follows, and those that one does."""
DEFAULTS = {"namespace": ".*", "service": ".*", "pod": ".*"}
"""What the variables of a dashboard stand for when all is chosen."""


def metrics(expr: str) -> set[str]:
    """Names of the series that the query reads."""
    text = re.sub(r'"[^"]*"', '""', expr)
    text = re.sub(r"\{[^}]*\}", "", text)  # matchers
    text = re.sub(r"\[[^\]]*\]", "", text)  # windows
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    found = re.finditer(r"(?<![\w:$.])([a-zA-Z_:][\w:]*)(?!\w|\s*\()", text)
    return {match[1] for match in found if match[1] not in WORDS and not re.fullmatch(r"[eE]\d*|Inf|NaN", match[1])}


def filled(expr: str, values: Mapping[str, str] | None = None, *, interval: str = "1m") -> str:
    """The query with values for the variables; `interval` for Grafana's own."""
    text = expr.replace("$__rate_interval", interval)
    for name, value in {**DEFAULTS, **(values or {})}.items():
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    if left := re.search(r"\$\w+", text):
        raise ValueError(f"{left[0]} has no value in: {expr}")
    return text

"""Colours and sizes of Grafana's dark theme."""

PAGE, PANEL, BORDER = "#111217", "#181b1f", "#25282d"
TEXT, FAINT, LINE = "#ccccdc", "#8e8e99", "#2c3235"
PALETTE = (
    "#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#b877d9", "#f2495c", "#8ab8ff", "#ca95e5",
    "#ffb357", "#96d98d", "#ff7383", "#fade2a",
)  # fmt: skip
NAMED = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c"}
COLUMNS = 24
COLUMN_PIXELS, ROW_PIXELS, GAP_PIXELS = 64, 34, 8
DPI = 100


def colour(value: float, thresholds: tuple[tuple[float, str], ...]) -> str:
    """Of a value among thresholds: that of the highest which it reaches."""
    reached = [name for limit, name in thresholds if value >= limit]
    return NAMED[reached[-1] if reached else "green"]

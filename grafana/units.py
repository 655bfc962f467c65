"""Numbers as Grafana writes them, by the ids of its units."""

import math
from collections.abc import Sequence

_THOUSANDS = ((1e9, "B"), (1e6, "M"), (1e3, "K"))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_TIMES = ((604800, "week"), (86400, "day"), (3600, "hour"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
WHOLE = 100
"""From here on without places after the point."""
_SUFFIXES = {"reqps": " req/s", "ops": " ops/s"}


def written(value: float, unit: str) -> str:
    """The value in its unit, with about three digits."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    match unit:
        case "percentunit":
            return f"{_digits(value * 100)}%"
        case "bytes" | "Bps":
            return _scaled(value, _BYTES, " ", "B") + ("/s" if unit == "Bps" else "")
        case "s" | "dtdurations":
            return "0 s" if value == 0 else _scaled(value, _TIMES, " ", "s")
        case _:
            return _scaled(value, _THOUSANDS, "", "") + _SUFFIXES.get(unit, "")


def _scaled(value: float, steps: Sequence[tuple[float, str]], space: str, base: str) -> str:
    for size, name in steps:
        if abs(value) >= size:
            return f"{_digits(value / size)}{space}{name}"
    return f"{_digits(value)}{space if base else ''}{base}"


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value)))) if abs(value) < WHOLE else 0
    text = f"{value:.{min(places, 3)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

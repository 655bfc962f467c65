"""`make bench-check`: whether a ratio has left the interval that is written down."""

from collections.abc import Iterator

from tests.bench.interval import Interval
from tests.bench.results import Answers


def compare(found: Answers, written: Answers) -> list[str]:
    """Print each ratio beside the committed one; returns those whose intervals have nothing in common.

    A ratio that was not there before, or is not there now, is told and fails nothing.
    """
    outside = []
    for name, told, now, before in _pairs(found, written):
        if before is None:
            print(f"new      {name}: {told}: {shown(now)}")
        elif now.overlaps(before):
            print(f"as was   {name}: {told}: {shown(now)}, written {shown(before)}")
        else:
            print(f"OUTSIDE  {name}: {told}: {shown(now)}, written {shown(before)}")
            outside.append(f"{name}: {told}")
    return outside


def _pairs(found: Answers, written: Answers) -> Iterator[tuple[str, str, Interval, Interval | None]]:
    for name, answer in found.items():
        before = {label(one): interval for one, interval in written[name].compared()} if name in written else {}
        for one, interval in answer.compared():
            yield name, label(one), interval, before.get(label(one))


def label(one: dict[str, object]) -> str:
    """What a ratio is called."""
    return str(one["says"] or f"{one['left']} / {one['right']}") + f" ({one['figure']})"


def shown(interval: Interval, digits: int = 3) -> str:
    """A middle with its interval, as `2.1 (1.9 to 2.3)`."""
    if interval.low is None or interval.high is None:
        return f"{interval.middle:.{digits}g} (one round)"
    return f"{interval.middle:.{digits}g} ({interval.low:.{digits}g} to {interval.high:.{digits}g})"

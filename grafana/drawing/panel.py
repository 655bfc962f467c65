"""One panel with its answers, drawn into a rectangle of the picture."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import isnan

from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, date2num
from matplotlib.ticker import FuncFormatter, MaxNLocator

from grafana.drawing import theme
from grafana.drawing.answers import Answer
from grafana.panels import Panel
from grafana.units import written

SMALL, NORMAL = 7.5, 8.5
LEGEND_LINES = 2
SECONDS_SHOWN = 300
"""A shorter time than this is told to the second."""


def draw(axes: Axes, panel: Panel, answers: Sequence[Answer], pixels: tuple[float, float]) -> None:
    """The panel's kind decides how; `pixels` is the size of the rectangle."""
    match panel.kind:
        case "timeseries":
            _lines(axes, panel, answers, pixels)
        case "stat":
            _figures(axes, panel, answers, pixels)
        case "bargauge":
            _bars(axes, panel, answers)
        case "table":
            _rows(axes, panel, answers, pixels)


def nothing(axes: Axes, sentence: str, *, expected: bool) -> None:
    """Say that there is nothing to see, and why."""
    blank(axes)
    axes.text(
        0.5, 0.5, sentence, ha="center", va="center", wrap=True, fontsize=NORMAL,
        color=theme.FAINT if expected else theme.NAMED["red"],
    )  # fmt: skip


def blank(axes: Axes) -> None:
    """No axes, a unit square to write into."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _lines(axes: Axes, panel: Panel, answers: Sequence[Answer], pixels: tuple[float, float]) -> None:
    axes.set_facecolor(theme.PANEL)
    colours = {answer.legend: theme.PALETTE[n % len(theme.PALETTE)] for n, answer in enumerate(answers)}
    below: dict[float, float] = {}
    for answer in answers:
        points = answer.with_gaps()
        times = [_day(moment) for moment, _ in points]
        floor = [below.get(moment, 0.0) if panel.stacked else 0.0 for moment, _ in points]
        values = [value + under for (_, value), under in zip(points, floor, strict=True)]
        if panel.stacked:
            below |= {moment: value for (moment, _), value in zip(points, values, strict=True) if not isnan(value)}
        axes.plot(times, values, color=colours[answer.legend], linewidth=1.1)
        axes.fill_between(
            times, floor, values, color=colours[answer.legend], alpha=0.4 if panel.stacked else 0.08, linewidth=0
        )
    highest = max((value for answer in answers for _, value in answer.points), default=0.0)
    highest = max(max(below.values(), default=0.0), highest)
    top = panel.maximum or highest * 1.15 or max((limit for limit, _ in panel.thresholds), default=0.0) * 1.5 or 1
    axes.set_ylim(0, top)
    for limit, name in panel.thresholds:
        if limit <= top:
            axes.axhline(limit, color=theme.NAMED[name], linewidth=0.8, linestyle="--")
    axes.grid(color=theme.LINE, linewidth=0.6)
    clock = "%H:%M:%S" if _short(answers) else "%H:%M"
    axes.xaxis.set_major_formatter(DateFormatter(clock))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(MaxNLocator(max(2, int(pixels[0] / 110))))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, panel.unit)))
    axes.tick_params(colors=theme.FAINT, labelsize=SMALL, length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)
    _legend(axes, colours, pixels)


def _day(moment: float) -> float:
    return float(date2num(datetime.fromtimestamp(moment, UTC)))  # type: ignore[no-untyped-call]


def _short(answers: Sequence[Answer]) -> bool:
    moments = [moment for answer in answers for moment, _ in answer.points]
    return max(moments) - min(moments) < SECONDS_SHOWN


def _legend(axes: Axes, colours: dict[str, str], pixels: tuple[float, float]) -> None:
    """Names below the lines, as many as fit; the rest as a number."""
    x, line = 0.0, 0
    for number, (name, shade) in enumerate(colours.items()):
        width = (len(name) * 5.6 + 26) / pixels[0]
        if x + width > 1:
            x, line = 0.0, line + 1
        if line == LEGEND_LINES:
            axes.text(1, _depth(line - 1, pixels), f"+{len(colours) - number}", transform=axes.transAxes,
                      fontsize=SMALL, color=theme.FAINT, ha="right", va="center")  # fmt: skip
            return
        y = _depth(line, pixels)
        axes.plot([x, x + 12 / pixels[0]], [y, y], color=shade, linewidth=2.5, transform=axes.transAxes, clip_on=False)
        axes.text(x + 17 / pixels[0], y, name, transform=axes.transAxes, fontsize=SMALL, color=theme.TEXT, va="center")
        x += width


def _depth(line: int, pixels: tuple[float, float]) -> float:
    return -(32 + 15 * line) / pixels[1]


def _figures(axes: Axes, panel: Panel, answers: Sequence[Answer], pixels: tuple[float, float]) -> None:
    blank(axes)
    width = 1 / len(answers)
    for number, answer in enumerate(answers):
        x = (number + 0.5) * width
        text = written(answer.last, panel.unit)
        size = min(26.0, 0.9 * pixels[0] * width / max(len(text), 4))
        axes.text(x, 0.55, text, ha="center", va="center", fontsize=size,
                  color=theme.colour(answer.last, panel.thresholds))  # fmt: skip
        if len(answers) > 1:
            room = int(pixels[0] * width / 5.2)
            name = answer.legend if len(answer.legend) <= room else answer.legend[: room - 1] + "…"
            axes.text(x, 0.1, name, ha="center", va="center", fontsize=SMALL, color=theme.TEXT)


def _bars(axes: Axes, panel: Panel, answers: Sequence[Answer]) -> None:
    blank(axes)
    top = panel.maximum or max((answer.last for answer in answers), default=1) or 1
    height = 1 / len(answers)
    for number, answer in enumerate(answers):
        y = 1 - (number + 0.5) * height
        axes.barh(y, 0.58, left=0.26, height=height * 0.55, color=theme.LINE)
        share = min(max(answer.last / top, 0), 1)
        shade = theme.colour(answer.last, panel.thresholds)
        axes.barh(y, 0.58 * share, left=0.26, height=height * 0.55, color=shade)
        axes.text(0.24, y, answer.legend, ha="right", va="center", fontsize=NORMAL, color=theme.TEXT)
        axes.text(0.86, y, written(answer.last, panel.unit), ha="left", va="center", fontsize=NORMAL, color=shade)


def _rows(axes: Axes, panel: Panel, answers: Sequence[Answer], pixels: tuple[float, float]) -> None:
    """A row for each set of labels, a column for each label and each query."""
    blank(axes)
    names = sorted({name for answer in answers for name in answer.labels})
    columns = [target.legend for target in panel.targets]
    units = {target.legend: target.unit for target in panel.targets}
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for answer in answers:
        key = tuple(answer.labels.get(name, "") for name in names)
        rows.setdefault(key, {})[answer.column] = written(answer.last, units[answer.column])
    step = 22 / pixels[1]
    shown = int(1 / step) - 1
    x = [(n + 0.02) / (len(names) + len(columns)) for n in range(len(names) + len(columns))]
    for place, heading in zip(x, [*names, *columns], strict=True):
        axes.text(place, 1 - step / 2, heading, fontsize=NORMAL, color=theme.NAMED["green"], va="center")
    for number, (key, cells) in enumerate(sorted(rows.items())[:shown]):
        y = 1 - step * (number + 1.5)
        axes.axhline(y + step / 2, color=theme.LINE, linewidth=0.6)
        for place, text in zip(x, [*key, *(cells.get(column, "") for column in columns)], strict=True):
            axes.text(place, y, text, fontsize=NORMAL, color=theme.TEXT, va="center")

"""The pictures of docs/numbers.md: ratios with their intervals, and curves."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.check import label
from tests.bench.results import Answer

INK, LINE, GOAL = "#57606a", "#0969da", "#cf222e"  # readable on white and on black


def ratios(answers: Sequence[Answer], file: Path) -> Path | None:
    """Every ratio of these answers with its interval, on a logarithmic axis; red marks a goal. None without any."""
    found = [(answer, one, interval) for answer in answers for one, interval in answer.compared()]
    if not found:
        return None
    figure, axes = _canvas(8, 0.9 + 0.34 * len(found))
    names = [f"{answer.name}: {label(one)}" for answer, one, _ in found]
    for row, (_, one, interval) in enumerate(found):
        low, high = interval.low or interval.middle, interval.high or interval.middle
        axes.plot([low, high], [row, row], color=LINE, linewidth=2)
        axes.plot([interval.middle], [row], "o", color=LINE, markersize=5)
        if one["goal"] is not None:
            axes.plot([one["goal"]], [row], "|", color=GOAL, markersize=14, markeredgewidth=2)
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("ratio (95 % interval; red: goal)")
    return _saved(figure, file)


def curve(answer: Answer, file: Path) -> Path | None:
    """The answer's figure over its axis, each round a dot and their medians a line. None where no side has it."""
    points = [(float(side), answer.figures(side, answer.curve)) for side in answer.sides]
    points = [(x, values) for x, values in points if values]
    if not points:
        return None
    figure, axes = _canvas(6, 3)
    for x, values in points:
        axes.plot([x] * len(values), values, ".", color=LINE, alpha=0.4)
    axes.plot([x for x, _ in points], [median(values) for _, values in points], color=LINE)
    if min(x for x, _ in points) > 0 and max(x for x, _ in points) / min(x for x, _ in points) > 20:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(answer.axis)
    axes.set_ylabel(answer.curve.replace("_", " "))
    return _saved(figure, file)


def _canvas(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib as mpl  # only the environment of `make bench` has it
    from matplotlib.figure import Figure

    # the same data must give the same file: no date, no random ids, no outlines of whatever font is installed
    mpl.rcParams.update({"svg.hashsalt": "slipway", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return figure, axes


def _saved(figure: Any, file: Path) -> Path:
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    # matplotlib ends lines with spaces, which our linters of text refuse
    file.write_text("\n".join(line.rstrip() for line in file.read_text().splitlines()) + "\n")
    return file

"""A whole dashboard as one picture."""

from collections.abc import Mapping, Sequence
from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from grafana.board_json import board_json
from grafana.drawing import panel as panels
from grafana.drawing import theme
from grafana.drawing.answers import Answer
from grafana.panels import Board, Panel

TOP_PIXELS = 46
COLOURS = 192
"""Of the palette: as good to the eye, and a third of the size."""
NO_DATA = "No data"
"""For a panel that should have an answer."""
Answers = Mapping[str, Sequence[Answer] | str]
"""By the panel's row and title: what to draw, or a sentence in its place."""


def key(row: str, panel: Panel) -> str:
    """What tells a panel from the others of its dashboard."""
    return f"{row} / {panel.title}"


def picture(board: Board, answers: Answers) -> bytes:
    """A PNG."""
    placed = board_json(board)["panels"]
    width = theme.COLUMNS * theme.COLUMN_PIXELS
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in placed) * theme.ROW_PIXELS + TOP_PIXELS
    figure = Figure(figsize=(width / theme.DPI, height / theme.DPI), dpi=theme.DPI, facecolor=theme.PAGE)
    canvas = FigureCanvasAgg(figure)
    figure.text(14 / width, 1 - 24 / height, board.title, fontsize=13, color=theme.TEXT, va="center", weight="bold")
    figure.text(
        1 - 14 / width, 1 - 24 / height, board.description, fontsize=9, color=theme.FAINT, va="center", ha="right"
    )
    rest = iter((row.title, panel) for row in board.rows for panel in row.panels)
    for written in placed:
        at = written["gridPos"]
        left, top = at["x"] * theme.COLUMN_PIXELS, TOP_PIXELS + at["y"] * theme.ROW_PIXELS
        size = at["w"] * theme.COLUMN_PIXELS, at["h"] * theme.ROW_PIXELS
        if written["type"] == "row":
            y = 1 - (top + size[1] / 2) / height
            figure.text(14 / width, y, f"▾  {written['title']}", fontsize=10, color=theme.TEXT, va="center")
            continue
        row, panel = next(rest)
        _panel(figure, panel, answers[key(row, panel)], (left, top, *size), (width, height))
    out = BytesIO()
    canvas.print_png(out)  # type: ignore[no-untyped-call]
    return _smaller(out)


def _panel(
    figure: Figure,
    panel: Panel,
    found: Sequence[Answer] | str,
    box: tuple[float, float, float, float],
    whole: tuple[float, float],
) -> None:
    left, top, width, height = box
    gap = theme.GAP_PIXELS / 2
    x, y = (left + gap) / whole[0], 1 - (top + height - gap) / whole[1]
    figure.add_artist(
        FancyBboxPatch(
            (x, y), (width - 2 * gap) / whole[0], (height - 2 * gap) / whole[1], boxstyle="square,pad=0",
            facecolor=theme.PANEL, edgecolor=theme.BORDER, linewidth=0.8, transform=figure.transFigure, zorder=-1,
        )
    )  # fmt: skip
    figure.text(
        (left + gap + 9) / whole[0], 1 - (top + gap + 14) / whole[1], panel.title, fontsize=9, color=theme.TEXT,
        va="center",
    )  # fmt: skip
    lines = panel.kind == "timeseries"
    margins = (62, 30, 16, 54) if lines else (12, 30, 12, 8)  # left, top, right, bottom
    size = width - 2 * gap - margins[0] - margins[2], height - 2 * gap - margins[1] - margins[3]
    axes = figure.add_axes(
        (
            (left + gap + margins[0]) / whole[0],
            1 - (top + gap + margins[1] + size[1]) / whole[1],
            size[0] / whole[0],
            size[1] / whole[1],
        )
    )
    if isinstance(found, str):
        panels.nothing(axes, found, expected=found != NO_DATA)
    else:
        panels.draw(axes, panel, found, size)


def _smaller(png: BytesIO) -> bytes:
    png.seek(0)
    with Image.open(png) as image:
        reduced = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    out = BytesIO()
    reduced.save(out, "PNG", optimize=True)
    return out.getvalue()

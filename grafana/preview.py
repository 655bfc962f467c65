"""`python -m grafana.preview`: asks a Prometheus every query of every dashboard, and draws them as Grafana would."""

import argparse
import os
import sys
import time
from pathlib import Path

from grafana import exporters, promql
from grafana.boards import ALL
from grafana.drawing.answers import Window, ask, variables
from grafana.drawing.board import NO_DATA, Answers, key, picture
from grafana.panels import Board, Panel
from grafana.prometheus import Prometheus, PrometheusError

OUT = Path("pictures")


def answers(prometheus: Prometheus, board: Board, window: Window, names: set[str]) -> Answers:
    """What to draw for each panel, or why there is nothing. Raises PrometheusError."""
    found = {}
    values = variables(prometheus, board, window)
    for row in board.rows:
        for panel in row.panels:
            got = ask(prometheus, panel, window, values)
            found[key(row.title, panel)] = got or reason(panel, names)
    return found


def reason(panel: Panel, names: set[str]) -> str:
    """Why a panel is empty: nobody exports what it asks for, or all is well, or something is wrong."""
    missing = {name for target in panel.targets for name in promql.metrics(target.expr)} - names
    scraped = {exporters.source(name) for name in names}
    sources = {exporters.source(name) for name in missing} - scraped - {""}
    if sources:
        return f"{' and '.join(sorted(sources))} is not scraped here"
    return panel.quiet or NO_DATA


def main() -> int:
    """Draw; 1 when Prometheus does not answer or a panel is empty that should not be."""
    arguments = _parser().parse_args()
    if not arguments.prometheus:
        print("make preview: say where Prometheus is: PROMETHEUS=http://127.0.0.1:9090", file=sys.stderr)
        return 1
    boards = [board for board in ALL if not arguments.boards or board.uid.removeprefix("slipway-") in arguments.boards]
    now = time.time()
    window = Window(now - 60 * arguments.minutes, now, arguments.scrape_seconds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    empty = []
    try:
        with Prometheus(arguments.prometheus) as prometheus:
            names = prometheus.names()
            for board in boards:
                found = answers(prometheus, board, window, names)
                file = arguments.out / f"{board.uid.removeprefix('slipway-')}.png"
                file.write_bytes(picture(board, found))
                print(f"{file}  {file.stat().st_size // 1000} kB")
                empty += [f"{board.title}: {name}" for name, got in found.items() if got == NO_DATA]
    except PrometheusError as error:
        print(f"make preview: {error}", file=sys.stderr)
        return 1
    for name in empty:
        print(f"empty, and should not be: {name}", file=sys.stderr)
    return int(bool(empty))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grafana.preview", description=__doc__)
    parser.add_argument("boards", nargs="*", help="such as platform gateway; none: all")
    parser.add_argument("--prometheus", default=os.environ.get("PROMETHEUS", ""), help="its URL; default: PROMETHEUS")
    parser.add_argument("--minutes", type=float, default=15, help="so much of the past")
    parser.add_argument("--scrape-seconds", type=float, default=15, help="how often it scrapes")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures")
    return parser


if __name__ == "__main__":
    sys.exit(main())

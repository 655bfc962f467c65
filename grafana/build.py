"""`python -m grafana.build`: writes dashboards and alerts where they are read. `--check` only compares."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from grafana import rules
from grafana.board_json import board_json
from grafana.boards import ALL

ROOT = Path(__file__).parents[1]
DASHBOARDS = ROOT / "grafana" / "dashboards"
CHART = ROOT / "charts" / "slipway" / "files" / "observability"


def wanted() -> Mapping[Path, str]:
    """Every generated file with its text."""
    texts = {f"{board.uid.removeprefix('slipway-')}.json": _json(board_json(board)) for board in ALL}
    boards = {folder / name: text for folder in (DASHBOARDS, CHART / "dashboards") for name, text in texts.items()}
    return boards | {
        DASHBOARDS.parent / "alerts.yaml": rules.rules_yaml(),
        DASHBOARDS.parent / "alerts_test.yaml": rules.tests_yaml(),
        CHART / "rules.yaml": rules.chart_yaml(),
    }


def stale(files: Mapping[Path, str]) -> list[Path]:
    """Files that are missing or differ, and files beside them that nobody generates."""
    differing = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    folders = {path.parent for path in files}
    left = [path for folder in folders if folder.exists() for path in folder.iterdir() if path not in files]
    return sorted(differing + [path for path in left if path.suffix == ".json"])


def write(files: Mapping[Path, str]) -> list[Path]:
    """Bring the files up to date; those that changed."""
    changed = stale(files)
    for path in changed:
        if path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
        else:
            path.unlink()
    return changed


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write, or with --check tell what is not up to date and return 1."""
    parser = argparse.ArgumentParser(prog="python -m grafana.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something would change")
    files = wanted()
    if parser.parse_args().check:
        for path in (left := stale(files)):
            print(f"{path.relative_to(ROOT)} is not what the code says: run `make dashboards`", file=sys.stderr)
        return int(bool(left))
    for path in write(files):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())

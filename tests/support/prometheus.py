"""Prometheus' own programs, as `make packages` builds them."""

from pathlib import Path

from k8s.node import tools

FOLDER = tools.folder(tools.ALL["promtool"].module)
"""Looked up at import: tests of the tools themselves put another Go in the place of the real one for a while."""


def prometheus_program(name: str) -> Path:
    """`prometheus` or `promtool`. Raises FileNotFoundError with what would help."""
    program = FOLDER / name
    if not program.exists():
        raise FileNotFoundError(f"{name} was not built: `python -m k8s.node tool {name}` does it, in two minutes")
    return program

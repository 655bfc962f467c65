"""What is mounted below the node's folders, and how to let it go."""

from collections.abc import Iterable
from pathlib import Path

from k8s.node.commands import run

MOUNTINFO = Path("/proc/self/mountinfo")
ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


def below(folders: Iterable[Path], mountinfo: str | None = None) -> list[Path]:
    """Mount points at or below `folders`, innermost first (proc(5), mountinfo: the fifth field)."""
    text = MOUNTINFO.read_text() if mountinfo is None else mountinfo
    points = [Path(_plain(line.split()[4])) for line in text.splitlines() if line.strip()]
    tops = list(folders)
    return [point for point in reversed(points) if any(point == top or top in point.parents for top in tops)]


def _plain(field: str) -> str:
    for code, character in ESCAPES.items():
        field = field.replace(code, character)
    return field


def release(folders: Iterable[Path]) -> list[Path]:
    """Unmount everything at or below `folders`; what is still mounted."""
    tops = list(folders)
    for point in below(tops):
        run(["umount", "-l", point], check=False)
    return below(tops)

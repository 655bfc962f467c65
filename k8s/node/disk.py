"""Whether there is room: free space, by file system."""

import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from k8s.node.errors import NodeError

EVICTION_SHARE = 0.025
"""Below 2 % free the kubelet evicts pods."""


def check(needs: Mapping[Path, float]) -> None:
    """Raise NodeError unless each file system has the gigabytes that the folders on it need together."""
    by_disk: defaultdict[int, list[Path]] = defaultdict(list)
    for folder in needs:
        by_disk[_existing(folder).stat().st_dev].append(folder)
    for folders in by_disk.values():
        disk = shutil.disk_usage(_existing(folders[0]))
        needed = max(sum(needs[folder] for folder in folders), disk.total * EVICTION_SHARE / 1e9)
        if disk.free / 1e9 < needed:
            raise NodeError(
                f"the disk of {', '.join(map(str, folders))} has {disk.free / 1e9:.1f} GB free and about"
                f" {needed:.1f} GB are needed: free some space, or name other folders by SLIPWAY_NODE_STATE,"
                " XDG_CACHE_HOME, GOCACHE and GOMODCACHE"
            )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())

"""The node's control groups: one tree that holds every process of the cluster, in version 1 and 2.

    <pids hierarchy or unified root>/slipway/parts/<part>    the node's own programs
    <every hierarchy>/slipway/...                            the kubelet's pods

Version 2 allows no processes beside subgroups with controllers, so nothing ever sits in `slipway` itself.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from k8s.node.errors import NodeError
from k8s.node.paths import NAME

REQUIRED = ("cpu", "memory", "pids")
WANTED = (*REQUIRED, "cpuset", "io", "hugetlb")
ENTER = 'echo $$ >"$0" && exec "$@"'

# What all pods together weigh against the rest of the machine, for each processor. Elsewhere that rest is in two
# folders of one processor's weight, user.slice and system.slice; here each busy program or session may weigh that
# by itself (version 1: 1024, version 2: 100). A folder left as the kernel makes it has no more than one of them,
# whatever the kubelet writes below: beside eight, a ninth of the machine. Four a processor keep half of two for pods
PROCESSOR = {"cpu.shares": 4 * 1024, "cpu.weight": 4 * 100}
HEAVIEST = {"cpu.shares": 262_144, "cpu.weight": 10_000}  # that the kernel takes


@dataclass(frozen=True)
class Cgroups:
    """The tree below `root`, which is made up in tests."""

    root: Path = Path("/sys/fs/cgroup")

    @property
    def is_unified(self) -> bool:
        """Whether this is version 2; version 1 with an empty v2 tree beside it is version 1."""
        return (self.root / "cgroup.controllers").exists()

    def hierarchies(self) -> list[Path]:
        """Every tree that the kubelet uses; of folders with two names (cpu,cpuacct) only one."""
        if self.is_unified:
            return [self.root]
        found = {folder.resolve() for folder in self.root.iterdir() if (folder / "cgroup.procs").exists()}
        return sorted(folder for folder in found if folder.name != "unified")

    def controllers(self) -> set[str]:
        """The controllers this kernel offers here."""
        if self.is_unified:
            return set((self.root / "cgroup.controllers").read_text().split())
        return {name for folder in self.hierarchies() for name in folder.name.split(",")}

    def check(self) -> None:
        """Refuse a machine without the controllers that the kubelet needs."""
        if not self.root.is_dir():
            raise NodeError(f"{self.root} does not exist: mount the kernel's cgroups there")
        if missing := [name for name in REQUIRED if name not in self.controllers()]:
            raise NodeError(
                f"cgroup controller missing in {self.root}: {', '.join(missing)}; enable it in the kernel"
                " (CONFIG_CGROUPS and the controller's own option, no cgroup_disable= at boot)"
            )

    def prepare(self) -> None:
        """Make the node's folder in every hierarchy, ready to take processes and pods."""
        self.check()
        if self.is_unified:
            self._delegate(self.root)
        for hierarchy in self.hierarchies():
            mine = hierarchy / NAME
            mine.mkdir(exist_ok=True)
            if not self.is_unified:
                self._copy_cpuset(hierarchy, mine)
        if self.is_unified:
            self._delegate(self.root / NAME)
        self._weigh()
        (self.tracking / "parts").mkdir(exist_ok=True)

    def _delegate(self, folder: Path) -> None:
        available = set((folder / "cgroup.controllers").read_text().split())
        control = folder / "cgroup.subtree_control"
        wanted = [name for name in WANTED if name in available]
        try:
            control.write_text(" ".join(f"+{name}" for name in wanted))
        except OSError as error:
            raise NodeError(
                f"the kernel refuses to delegate {', '.join(wanted)} below {folder} ({error.strerror}):"
                " the folder holds processes; move them into a subgroup or run outside that container"
            ) from error

    def _weigh(self) -> None:
        """Have the requests of pods count beside what else this machine does: they share what this folder gets."""
        processors = os.cpu_count() or 1
        for hierarchy in self.hierarchies():
            for name, weight in PROCESSOR.items():
                if (file := hierarchy / NAME / name).exists():
                    file.write_text(str(min(HEAVIEST[name], processors * weight)))

    @staticmethod
    def _copy_cpuset(hierarchy: Path, mine: Path) -> None:
        for name in ("cpuset.cpus", "cpuset.mems"):  # a new cpuset starts empty and admits nobody
            if (hierarchy / name).exists() and not (mine / name).read_text().strip():
                (mine / name).write_text((hierarchy / name).read_text())

    @property
    def tracking(self) -> Path:
        """The folder below which every process of the cluster is."""
        return (self.root if self.is_unified else self.root / "pids") / NAME

    def enter(self, part: str) -> list[str]:
        """The words before a command that start it inside `part`; none when the tree is not prepared."""
        if os.geteuid() or not self.tracking.is_dir():
            return []
        folder = self.tracking / "parts" / part
        folder.mkdir(parents=True, exist_ok=True)
        return ["sh", "-c", ENTER, str(folder / "cgroup.procs")]

    def processes(self, part: str | None = None) -> set[int]:
        """The ids of all processes in `part`, or in the whole cluster."""
        top = self.tracking / "parts" / part if part else self.tracking
        return {pid for folder in _folders(top) for pid in _pids(folder)}

    def remove(self) -> list[str]:
        """Remove the node's folders everywhere; what could not be removed, with the reason."""
        stuck = []
        for hierarchy in {*self.hierarchies(), self.root / "unified"}:  # runc leaves folders in an empty v2 tree
            for folder in reversed(list(_folders(hierarchy / NAME))):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    stuck.append(f"{folder}: {error.strerror}")
        return stuck

    def left_over(self) -> list[Path]:
        """The node's folders that exist."""
        return [tree / NAME for tree in {*self.hierarchies(), self.root / "unified"} if (tree / NAME).exists()]


def _folders(top: Path) -> Iterator[Path]:
    for folder, _, _ in os.walk(top):
        yield Path(folder)


def _pids(folder: Path) -> list[int]:
    with contextlib.suppress(OSError):  # the group may be gone by now
        return [int(word) for word in (folder / "cgroup.procs").read_text().split()]
    return []

"""What the node leaves outside its own folders, and what a `down` should not leave at all."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from k8s.node import containerd, mounts, network, paths
from k8s.node.processes import CGROUPS, everything

CONTAINER_LOGS = Path("/var/log/containers")
CNI_RESULTS = Path("/var/lib/cni/results")
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
"""Places that the kubelet and the CNI library write to whatever their settings."""


def find() -> list[str]:
    """What is there of a node: processes, mounts, network, control groups, files outside its folders."""
    return [
        *(f"process {pid}" for pid in sorted(everything())),
        *(f"mount {point}" for point in mounts.below([paths.state(), paths.cache()])),
        *network.left_over(),
        *(f"control group {folder}" for folder in CGROUPS.left_over()),
        *(f"file {file}" for file in outside()),
    ]


def outside() -> Iterator[Path]:
    """The node's files outside its folders that exist."""
    yield from (file for file in containerd.shim_sockets() if file.exists())
    yield from container_logs(CONTAINER_LOGS, paths.state())
    yield from cni_results(CNI_RESULTS)
    if _is_dead_socket(DEVICE_PLUGINS):
        yield DEVICE_PLUGINS


def container_logs(folder: Path, state: Path) -> list[Path]:
    """The kubelet's links to the logs of this node's containers, not another kubelet's."""
    links = [link for link in folder.glob("*.log") if link.is_symlink()]
    return [link for link in links if link.readlink().is_relative_to(state)]


def cni_results(folder: Path) -> list[Path]:
    """What the CNI library remembers of this node's pods: `<network>-<container>-<interface>`."""
    ours = list(folder.glob(f"{paths.NAME}-*-eth0"))
    containers = [file.name.removeprefix(f"{paths.NAME}-").removesuffix("-eth0") for file in ours]
    loopbacks = [folder / f"cni-loopback-{container}-lo" for container in containers]
    return [*ours, *(file for file in loopbacks if file.exists())]


def _is_dead_socket(file: Path) -> bool:
    """Whether a socket exists and nobody listens: another kubelet's would answer."""
    if not file.is_socket():
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(file)) != 0


def remove_outside() -> None:
    """Remove them, and the folders that are empty then."""
    for file in list(outside()):
        file.unlink(missing_ok=True)
    for folder in (
        *("/run/containerd/s", "/run/containerd", "/run/nri", "/var/log/containers"),
        *("/var/lib/cni/results", "/var/lib/cni", "/var/lib/kubelet/device-plugins", "/var/lib/kubelet"),
    ):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()  # fails when something of others is in it

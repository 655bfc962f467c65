"""Debian packages that the node needs: which are missing, and installing them."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from k8s.node.commands import logged, search_path
from k8s.node.errors import NodeError
from k8s.node.paths import cache
from k8s.node.progress import Progress

Proof = str | Path
"""A program on PATH, or a file that a package brings."""

TO_RUN: Mapping[str, Proof] = {
    "iproute2": "ip",
    "util-linux": "nsenter",
    "procps": "sysctl",
    "kmod": "modprobe",
    "nftables": "nft",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "openssl": "openssl",
    "curl": "curl",
}
TO_BUILD: Mapping[str, Proof] = {
    "gcc": "gcc",
    "libc6-dev": Path("/usr/include/stdio.h"),
    "pkg-config": "pkg-config",
    "libseccomp-dev": Path("/usr/include/seccomp.h"),
}
FOR_IMAGES: Mapping[str, Proof] = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "python3-pip": Path("/usr/lib/python3/dist-packages/pip"),  # downloads the edge's wheel
}
FOR_TESTS: Mapping[str, Proof] = {
    "chromium": "chromium",
    "postgresql": Path("/usr/lib/postgresql"),
    "redis-server": "redis-server",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "prometheus-redis-exporter": "prometheus-redis-exporter",
    "openssl": "openssl",
    "curl": "curl",
}


def missing(wanted: Mapping[str, Proof]) -> list[str]:
    """The packages whose proof is not there."""
    return [name for name, proof in wanted.items() if not _present(proof)]


def _present(proof: Proof) -> bool:
    return proof.exists() if isinstance(proof, Path) else bool(shutil.which(proof, path=search_path()))


def ensure(progress: Progress, *groups: Mapping[str, Proof]) -> None:
    """Install what is missing with apt-get, saying so; NodeError where that cannot be."""
    wanted = {name: proof for group in groups for name, proof in group.items()}
    if names := missing(wanted):
        _install(names, progress)
        if still := missing(wanted):
            raise NodeError(f"apt-get installed {', '.join(still)} without what is needed from it: install by hand")


def _install(names: Iterable[str], progress: Progress) -> None:
    listed = " ".join(names)
    if not shutil.which("apt-get"):
        raise NodeError(
            f"needed and not installed: {listed} (Debian's names); there is no apt-get: install them by hand"
        )
    if os.geteuid():
        raise NodeError(f"needed and not installed: {listed}; run this as root, or `apt-get install {listed}` first")
    progress(f"installing Debian packages: {listed}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    log = cache() / "log" / "apt.log"
    logged(["apt-get", "update", "-q"], log, "reading Debian's package lists", env=quiet)
    logged(["apt-get", "install", "-qy", "--no-install-recommends", *listed.split()], log,
           f"installing {listed}", env=quiet)  # fmt: skip

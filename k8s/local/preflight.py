"""What must be true before minutes are spent: free disk, free ports."""

import shutil
import socket
from pathlib import Path

from k8s.local.errors import LocalError

GIB = 1024**3
COLD_GIB, WARM_GIB = 14, 3
"""Go's cache and programs, image archives, the node's data: measured from nothing, and when all is built."""

LISTENING = "0A"  # the state in /proc/net/tcp


def check_disk(folder: Path, *, cold: bool) -> None:
    """Raise LocalError when the file system of `folder` has less free than an `up` takes."""
    needed = COLD_GIB if cold else WARM_GIB
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / GIB
    if free < needed:
        raise LocalError(
            f"The disk under {folder} has {free:.1f} GiB free and this needs about {needed} GiB; "
            "free some space, or name another disk by XDG_CACHE_HOME and XDG_STATE_HOME."
        )


def check_port(port: int) -> None:
    """Raise LocalError that names who listens when 127.0.0.1:`port` is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LocalError(f"Port {port} of 127.0.0.1 is taken by {owner(port)}; end it and try again.") from error


def owner(port: int) -> str:
    """Who listens on `port`, as "name (pid 123)"; "another program" when the system does not tell."""
    inodes = {f"socket:[{inode}]" for inode in _listening(port)}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            if str(descriptor.readlink()) in inodes:
                process = descriptor.parents[1]
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue  # gone meanwhile, or another user's
    return "another program"


def _listening(port: int) -> list[str]:
    """Inodes of the sockets that listen on `port`, from the kernel's tables (proc(5), /proc/net/tcp)."""
    inodes = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.append(fields[9])
    return inodes

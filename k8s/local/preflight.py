"""What must be true before minutes are spent: free ports. The node checks the disk by itself."""

import socket
from pathlib import Path

from k8s.local.errors import LocalError

LISTENING = "0A"  # the state in /proc/net/tcp


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

"""A network namespace for the node, and the pair of interfaces that joins it to the host."""

import ipaddress
import json
from pathlib import Path
from typing import Any

from k8s.node.commands import run
from k8s.node.errors import NodeError
from k8s.node.paths import HOST_IP, HOST_LINK, NAME, NETWORK, NODE_IP, NODE_LINK, SERVICES
from k8s.node.processes import inhabitant, inside

NAMESPACE = Path("/run/netns") / NAME
BRIDGE_FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables"
MODULES = ("overlay", "br_netfilter", "nf_tables", "ip_set", "veth", "bridge")


def prepare() -> None:
    """Make or mend namespace, interfaces, addresses and the kernel switches inside."""
    _refuse_taken_addresses()
    _namespace()
    _links()
    run([*inside(), "ip", "link", "set", "lo", "up"])
    # so that processes of the node can open connections to service addresses, which kube-proxy rewrites;
    # there is no default route: nothing leaves
    run([*inside(), "ip", "route", "replace", SERVICES, "dev", NODE_LINK])
    run([*inside(), "sysctl", "-qw", "net.ipv4.ip_forward=1"])


def _refuse_taken_addresses() -> None:
    if found := taken(json.loads(run(["ip", "-j", "-4", "addr"]).stdout)):
        raise NodeError(f"the node needs {NETWORK}, and on this machine {', '.join(found)} is taken: free it")


def taken(links: list[dict[str, Any]]) -> list[str]:
    """Addresses of the node's network on interfaces of others, from `ip -j addr`: `ADDRESS on INTERFACE`."""
    ours = ipaddress.ip_network(NETWORK)
    return [
        f"{address['local']} on {link['ifname']}"
        for link in links
        for address in link.get("addr_info", [])
        if link["ifname"] != HOST_LINK and ipaddress.ip_address(address["local"]) in ours
    ]


def _namespace() -> None:
    if NAMESPACE.exists() and run([*inside(), "true"], check=False).returncode:
        NAMESPACE.unlink()  # a file without a namespace: an `up` was killed between the two
    if not NAMESPACE.exists():
        # the parts may live in one that has lost its name: a new one would leave them and their pods behind
        run(["ip", "netns", "attach", NAME, str(pid)] if (pid := inhabitant()) else ["ip", "netns", "add", NAME])


def _links() -> None:
    if has_link() and run([*inside(), "ip", "link", "show", NODE_LINK], check=False).returncode:
        run(["ip", "link", "del", HOST_LINK])  # its other end is in a namespace that is no more
    if not has_link():
        run(["ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", NODE_LINK, "netns", NAME])
    run(["ip", "addr", "replace", f"{HOST_IP}/30", "dev", HOST_LINK])
    run(["ip", "link", "set", HOST_LINK, "up"])
    run([*inside(), "ip", "addr", "replace", f"{NODE_IP}/30", "dev", NODE_LINK])
    run([*inside(), "ip", "link", "set", NODE_LINK, "up"])


def has_link() -> bool:
    """Whether the host's end of the pair exists."""
    return Path(f"/sys/class/net/{HOST_LINK}").exists()


def check_kernel() -> None:
    """Load what the kernel has as modules, then refuse a kernel that lacks a feature."""
    run(["modprobe", "-qa", *MODULES], check=False)  # built in on some kernels, and then no error either way
    if not any(line.split()[-1] == "overlay" for line in Path("/proc/filesystems").read_text().splitlines()):
        raise NodeError("the kernel lacks overlayfs (CONFIG_OVERLAY_FS): containers need it")


def check_filters() -> None:
    """Inside the namespace: packet filters that policies and services are made of."""
    if run([*inside(), "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"], check=False).returncode:
        raise NodeError(
            f"the kernel lacks {BRIDGE_FILTER} (CONFIG_BRIDGE_NETFILTER, module br_netfilter):"
            " without it network policies would not be enforced"
        )
    for command, option in (
        (["nft", "list", "tables"], "CONFIG_NF_TABLES"),
        (["iptables", "-S"], "CONFIG_NFT_COMPAT or CONFIG_IP_NF_IPTABLES"),
        (["ipset", "list", "-n"], "CONFIG_IP_SET"),
    ):
        done = run([*inside(), *command], check=False)
        if done.returncode:
            raise NodeError(f"the kernel lacks {option}: `{' '.join(command)}` says {done.stderr.strip()}")


def remove() -> None:
    """Delete the interfaces and the namespace, with every rule and bridge inside."""
    if has_link():
        run(["ip", "link", "del", HOST_LINK], check=False)
    if NAMESPACE.exists():
        run(["ip", "netns", "del", NAME], check=False)
        NAMESPACE.unlink(missing_ok=True)
    folder = NAMESPACE.parent
    if folder.is_dir() and not any(folder.iterdir()):  # the folder itself is a mount that `ip netns add` made
        run(["umount", folder], check=False)
        folder.rmdir()


def left_over() -> list[str]:
    """What of the node's network exists."""
    found = [f"network namespace {NAME}"] if NAMESPACE.exists() else []
    return found + ([f"interface {HOST_LINK}"] if has_link() else [])

"""Names, addresses and folders of the node, each once."""

import os
from pathlib import Path

NAME = "slipway"
"""The node, its network namespace, its cgroup, and the stem of its interface."""

HOST_IP, NODE_IP = "172.31.255.1", "172.31.255.2"
NETWORK = "172.31.255.0/30"
HOST_LINK, NODE_LINK = f"{NAME}-h", "node0"
PODS, SERVICES = "10.244.0.0/24", "10.96.0.0/16"
API_SERVICE, DNS_SERVICE = "10.96.0.1", "10.96.0.10"
REGISTRY = f"{NODE_IP}:5000"

STATE_VARIABLE = "SLIPWAY_NODE_STATE"
SOURCE = Path(__file__).resolve().parent
MANIFESTS = SOURCE / "manifests"


def home(variable: str, default: str) -> Path:
    """The folder that an XDG variable names, else `default` in the home folder."""
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default  # relative values are invalid: XDG spec


def cache() -> Path:
    """What can be made again: binaries, image archives, build storage."""
    return home("XDG_CACHE_HOME", ".cache") / NAME / "node"


def state() -> Path:
    """What one cluster is: its keys, data, logs. `SLIPWAY_NODE_STATE` names another folder."""
    given = os.environ.get(STATE_VARIABLE)
    return Path(given).resolve() if given else home("XDG_STATE_HOME", ".local/state") / NAME / "node"


def pki() -> Path:
    """Keys and certificates; kept by `down --keep-data`."""
    return state() / "pki"


def logs() -> Path:
    """One log for each part."""
    return state() / "log"


def run() -> Path:
    """What is true until the next boot only: sockets, stamps, mounts."""
    return state() / "run"


def containerd_socket() -> Path:
    """Where containerd answers."""
    return run() / "containerd.sock"


def kubeconfig() -> Path:
    """The administrator's kubeconfig, good on the host and inside the namespace."""
    return state() / "admin.conf"

"""Bring the node up, take it down, look at it."""

from pathlib import Path

from k8s.node import paths
from k8s.node.progress import Progress, silent


def up(progress: Progress = silent) -> None:
    """Bring everything up and wait until it works; seconds when it already does.

    Builds what is missing (tools, base images), starts or heals the parts, loads the postgres and redis
    images, applies the add-ons. Raises NodeError with the cause and the log to read.
    """
    raise NotImplementedError


def down(*, keep_data: bool = False, progress: Progress = silent) -> None:
    """End the node and leave nothing behind, whatever state it is in.

    With keep_data etcd's data, keys, volumes and the registry's images stay for the next `up`.
    """
    raise NotImplementedError


def is_running() -> bool:
    """Whether the API server of this node answers."""
    raise NotImplementedError


def kubeconfig() -> Path:
    """The administrator's kubeconfig; it exists once `up` has run."""
    return paths.kubeconfig()


def registry() -> str:
    """`host:port` of the node's registry, plain HTTP, reachable from this host and from the node."""
    return paths.REGISTRY


def address() -> str:
    """The address where the edge answers on 80 and 443."""
    return paths.NODE_IP

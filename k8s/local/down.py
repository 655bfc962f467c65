"""`make down`: nothing is left behind, whatever state things are in, and nothing of anybody else's is touched."""

import os
import shutil

from k8s.local import certificates, edge, kind, paths, release
from k8s.local import cluster as clusters
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.local.steps import step
from k8s.node import cluster as node
from k8s.node import files, leftovers
from k8s.node import paths as node_paths
from k8s.node.errors import NodeError
from k8s.node.progress import Progress

MADE = (
    *("ca.crt", "ca.key", "edge.crt", "edge.key", "client.curl", "administrator"),
    *("cluster.json", "forwarder.json", "kind.conf", "kind.conf.lock"),
)
"""All that these commands write into the state folder, so that nothing else in it is ever deleted."""


def down(*, keep_data: bool, progress: Progress) -> None:
    """End the forwarder and the cluster; with keep_data its data and the local CA stay.

    On a context of the user's (KUBE_CONTEXT) only the release and the namespace that `up` made go.
    """
    if os.environ.get("KUBE_CONTEXT"):
        _down_context(keep_data=keep_data)
        return
    edge.close_way()
    before = clusters.remembered()
    failures = []
    for end in (_end_kind, _end_node):  # a failure of the one leaves the other nothing to wait for
        try:
            end(before, progress, keep_data=keep_data)
        except NodeError as error:
            failures.append(error)
    if failures:
        raise LocalError(" ".join(map(str, failures)), "\n".join(error.details for error in failures))
    clusters.forget()
    if not keep_data:
        _delete_state()


def _down_context(*, keep_data: bool) -> None:
    if keep_data:
        raise LocalError(
            "DATA=keep works on kind and on the node; on a cluster that KUBE_CONTEXT names the volumes go with the "
            "namespace. `helm uninstall` keeps them."
        )
    cluster = clusters.named()
    release.uninstall(cluster)
    edge.close_way()


def _end_kind(before: Cluster | None, progress: Progress, *, keep_data: bool) -> None:
    if before is None or before.provider == "kind":
        kind.down(keep_data=keep_data)
        if before is not None:
            progress("kind: " + ("stopped; `make up` starts it with its data" if keep_data else "deleted"))


def _end_node(before: Cluster | None, progress: Progress, *, keep_data: bool) -> None:
    is_there = node_paths.state().exists() or leftovers.find()
    if is_there and (before is None or before.provider == "node"):
        with step(progress, "node-down", "node: ending it"):
            node.down(keep_data=keep_data, progress=progress)


def _delete_state() -> None:
    """Delete by name, and the folder only when it is empty then: SLIPWAY_STATE may name any folder."""
    folder = paths.state()
    if not folder.is_dir() or not files.is_claimed(folder, paths.STATE_VARIABLE):
        return
    for name in MADE:
        (folder / name).unlink(missing_ok=True)
    for draft in folder.glob(f"{certificates.DRAFT}*"):
        shutil.rmtree(draft)
    files.release(folder)

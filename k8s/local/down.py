"""`make down`: nothing is left behind, whatever state things are in."""

import os
import shutil

from k8s.local import cluster as clusters
from k8s.local import edge, kind, paths, release
from k8s.local.steps import step
from k8s.node import cluster as node
from k8s.node.progress import Progress


def down(*, keep_data: bool, progress: Progress) -> None:
    """End the forwarder and the cluster; with keep_data the node's data and the local CA stay.

    On a context of the user's (KUBE_CONTEXT) only the release and the namespace that `up` made go.
    """
    edge.close_way()
    if os.environ.get("KUBE_CONTEXT"):
        release.uninstall(clusters.choose())
        return
    before = clusters.remembered()
    if before is None or before.provider == "kind":
        kind.down()
    if before is None or before.provider == "node":
        with step(progress, "node-down", "node: ending it"):
            node.down(keep_data=keep_data, progress=progress)
    clusters.forget()
    if not keep_data:
        shutil.rmtree(paths.state(), ignore_errors=True)

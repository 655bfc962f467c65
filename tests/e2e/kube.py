"""The cluster of `make up` through the kubernetes client; every other cluster is refused."""

import os
from collections.abc import Sequence
from typing import Any

from kubernetes import config
from kubernetes.client import CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from urllib3.exceptions import HTTPError

from k8s.local import cluster as clusters
from k8s.local.cluster import Cluster
from k8s.node import paths as node_paths

Object = dict[str, Any]
"""An object as its manifest has it."""

NODES = {"node": [node_paths.NAME], "kind": [f"{clusters.KIND_NAME}-control-plane"]}
"""What the nodes of a cluster that the project made are called, by its provider."""

VERSIONS = {
    "Namespace": "v1",
    "Node": "v1",
    "Pod": "v1",
    "Event": "v1",
    "Secret": "v1",
    "Service": "v1",
    "PersistentVolumeClaim": "v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "Gateway": "gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
}


class ClusterRefusedError(Exception):
    """These tests install, break and uninstall: only on a cluster that the project made, and that answers."""


def connect() -> "Kube":
    """The cluster of the last `make up`, by its own kubeconfig: the user's current context never counts."""
    context = os.environ.get("KUBE_CONTEXT", "")
    if context:
        raise ClusterRefusedError(
            f"KUBE_CONTEXT={context} names a cluster of yours; unset it: these tests run on clusters of `make up` only."
        )
    cluster = clusters.remembered()
    if cluster is None:
        raise ClusterRefusedError("There is no cluster of `make up` on this machine; run `make up` first.")
    try:
        kube = Kube(cluster)
        check_own(cluster, [node["metadata"]["name"] for node in kube.objects("Node")])
    except HTTPError as error:
        raise ClusterRefusedError(f"The cluster of `make up` does not answer; run `make up` again: {error}") from error
    return kube


def check_own(cluster: Cluster, nodes: Sequence[str]) -> None:
    """Raise ClusterRefusedError unless `nodes` are exactly those that the project gives such a cluster."""
    if list(nodes) != NODES.get(cluster.provider):
        raise ClusterRefusedError(
            f"The {cluster.provider} cluster has the nodes {', '.join(nodes) or '(none)'}, "
            f"where `make up` makes {' or '.join(name for names in NODES.values() for name in names)}: left alone."
        )


class Kube:
    """One cluster: `cluster` gives command lines for helm and kubectl, the methods speak to its API server."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        # the client's older half has no annotations
        api = config.new_client_from_config(cluster.kubeconfig, cluster.context or None)  # type: ignore[no-untyped-call]
        self._core = CoreV1Api(api)
        self._client: Any = DynamicClient(api)  # type: ignore[no-untyped-call]

    def objects(self, kind: str, namespace: str | None = None, labels: str = "") -> list[Object]:
        """Objects of a kind, of all namespaces unless one is named."""
        found = self._kind(kind).get(namespace=namespace, label_selector=labels or None)
        items: list[Object] = found.to_dict()["items"]
        return items

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """One object; raises ApiException with status 404 when there is none."""
        found: Object = self._kind(kind).get(name=name, namespace=namespace).to_dict()
        return found

    def exists(self, kind: str, name: str, namespace: str | None = None) -> bool:
        """Whether there is such an object."""
        try:
            self.get(kind, name, namespace)
        except ApiException as error:
            if error.status == 404:
                return False
            raise
        return True

    def create(self, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object; with `dry_run` the API server judges it, admission included, and keeps nothing."""
        query = [("dryRun", "All")] if dry_run else []
        created = self._kind(body["kind"]).create(
            body=body, namespace=body["metadata"].get("namespace"), query_params=query
        )
        answer: Object = created.to_dict()
        return answer

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Begin to delete an object, with its kind's own grace."""
        self._kind(kind).delete(name=name, namespace=namespace)

    def logs(self, pod: Object, *, tail: int) -> str:
        """The last lines of a pod's first container."""
        meta = pod["metadata"]
        text: str = self._core.read_namespaced_pod_log(meta["name"], meta["namespace"], tail_lines=tail)
        return text

    def _kind(self, kind: str) -> Any:
        return self._client.resources.get(api_version=VERSIONS[kind], kind=kind)

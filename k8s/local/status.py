"""`make status`: which cluster, what runs in it, whether the way in is open."""

from k8s.local import cluster as clusters
from k8s.local import commands, diagnosis, edge, paths, processes, release
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.local.up import kubectl_line
from k8s.node import cluster as node


def status() -> None:
    """Print what is there; raises LocalError when there is no cluster, or with what is not in order."""
    cluster = clusters.remembered()
    if cluster is None:
        raise LocalError("No cluster is up; `make up` starts one.")
    print(f"cluster    {cluster.provider}\nkubectl    {kubectl_line(cluster)}")
    forwarder = processes.running(edge.FORWARDER)
    if cluster.provider != "kind":
        print(f"forwarder  {f'pid {forwarder.pid}' if forwarder else 'not running'}")
    print(f"URL        {paths.ORIGIN}\n")
    print(commands.run(*cluster.kubectl("-n", paths.NAMESPACE, "get", "pods,hpa,ingress,pvc")), flush=True)
    if found := troubles(cluster):
        raise LocalError(f"Not healthy: {'; '.join(found)}. `make up` mends what it can.")


def troubles(cluster: Cluster) -> list[str]:
    """What is not as `up` leaves it, one phrase each."""
    parts = node.status() if cluster.provider == "node" else {}
    found = [f"{part} does not run" for part, pid in parts.items() if not pid]
    state = release.state(cluster)
    if state != "deployed":
        found.append(f"the release is {state or 'not installed'}")
    found += diagnosis.pending(cluster, paths.NAMESPACE)
    complaint = edge.complaint()
    return [*found, complaint] if complaint else found

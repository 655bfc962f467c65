"""`make status`: which cluster, what runs in it, whether the way in is open."""

from k8s.local import cluster as clusters
from k8s.local import commands, edge, paths, processes
from k8s.local.errors import LocalError
from k8s.local.up import kubectl_line


def status() -> None:
    """Print what is there; raises LocalError when there is no cluster."""
    cluster = clusters.remembered()
    if cluster is None:
        raise LocalError("No cluster is up; `make up` starts one.")
    print(f"cluster    {cluster.provider}\nkubectl    {kubectl_line(cluster)}")
    forwarder = processes.running(edge.FORWARDER)
    print(f"forwarder  {f'pid {forwarder.pid}' if forwarder else 'not running'}\nURL        {paths.ORIGIN}\n")
    print(commands.run(*cluster.kubectl("-n", paths.NAMESPACE, "get", "pods,hpa,ingress,pvc")))

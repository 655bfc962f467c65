"""`make up`: from whatever is there to Slipway answering on this machine; seconds when nothing changed."""

from k8s.local import cluster as clusters
from k8s.local import credentials, edge, images, kind, paths, release, report, traces
from k8s.local.cluster import Cluster
from k8s.local.steps import step
from k8s.node import cluster as node
from k8s.node import files
from k8s.node.progress import Progress


def up(progress: Progress) -> None:
    """Do every step that is not done yet, then print the way in."""
    cluster = start_cluster(progress)
    tags = deliver_images(cluster, progress)
    with step(progress, "release", "release: helm installs the chart and waits until all is ready"):
        release.prepare(cluster)
        traces.apply(cluster, images.reference(cluster.registry, "items", tags["items"]))
        if not release.install(cluster, tags, progress, traces.values()):
            progress("  nothing changed")
    with step(progress, "edge", f"edge: {paths.ORIGIN}"):
        edge.open_way(cluster, progress)
        edge.wait_until_answers()
        credentials.ensure(cluster)
    print(report.text(cluster.provider, cluster.why, kubectl_line(cluster)), flush=True)


def start_cluster(progress: Progress) -> Cluster:
    """Choose the cluster, see that it can work here, and start it where it is ours to start."""
    cluster = clusters.choose()
    progress(f"cluster: {cluster.provider}, because {cluster.why}")
    files.claim(paths.state(), paths.STATE_VARIABLE)
    if cluster.provider == "kind":
        kind.refuse_foreign()
    if cluster.provider != "kind" or kind.state() != "running":
        edge.check_ports()
    clusters.remember(cluster)
    if cluster.provider == "node":
        with step(progress, "node", "node: Kubernetes on this machine"):
            node.up(progress)
    elif cluster.provider == "kind":
        with step(progress, "kind", "kind: Kubernetes in a container"):
            kind.up(cluster)
    return cluster


def deliver_images(cluster: Cluster, progress: Progress) -> dict[str, str]:
    """Build and deliver the images whose inputs changed; the tag of each service's image."""
    base = images.base(cluster.registry, progress)
    tags = {service: images.tag(service, base=base) for service in images.services()}
    for service, tag in tags.items():
        ref = images.reference(cluster.registry, service, tag)
        if images.present(cluster, ref):
            continue
        with step(progress, f"image-{service}", f"image: {service}"):
            images.build(service, ref)
            images.deliver(cluster, ref)
    return tags


def kubectl_line(cluster: Cluster) -> str:
    """The line that lets the user's kubectl see this cluster."""
    if cluster.provider == "node":
        return f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.tool('kubectl').parent}:$PATH"
    return f"export KUBECONFIG={cluster.kubeconfig}" if cluster.kubeconfig else f"kubectl --context={cluster.context}"

"""The cluster of kind, where a Docker engine answers. Its command lines are tested; it was not run."""

import json
import shutil

from k8s.local import commands, paths
from k8s.local.cluster import KIND_NAME, Cluster

CREATE_SECONDS = 600
CONFIG = paths.ROOT / "k8s" / "kind.yaml"
EDGE_IMAGE = "docker.io/library/traefik:v3.7.15"
EDGE = paths.ROOT / "k8s" / "node" / "manifests" / "50-ingress.yaml"
UPSTREAM = {
    "gateway": "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.1/standard-install.yaml",
    "metrics": "https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.9.0/components.yaml",
}


def running() -> bool:
    """Whether the cluster exists and its container runs."""
    if not (shutil.which("kind") and shutil.which("docker")):
        return False
    state = commands.attempt("docker", "inspect", "--format={{.State.Running}}", f"{KIND_NAME}-control-plane")
    return state.stdout.strip() == "true"


def up(cluster: Cluster) -> None:
    """Create the cluster when it is not there, with the edge that the node has, and metrics for the HPA."""
    paths.state().mkdir(parents=True, exist_ok=True, mode=0o700)
    if not running():
        log = paths.logs() / "kind.log"
        commands.run_logged(log, *create_command(), timeout=CREATE_SECONDS)
    for address in UPSTREAM.values():
        commands.run(*cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", address), timeout=120)
    # kind's kubelets have certificates that no authority signed
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--kubelet-insecure-tls"}]
    commands.run(
        *cluster.kubectl("-n", "kube-system", "patch", "deployment", "metrics-server", "--type=json",
                         f"--patch={json.dumps(patch)}")
    )  # fmt: skip
    commands.run(*cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-"), text=edge_manifest())


def down() -> None:
    """Delete the cluster when there is one."""
    if shutil.which("kind") and shutil.which("docker"):
        commands.run("kind", "delete", "cluster", f"--name={KIND_NAME}", timeout=120)


def create_command() -> list[commands.Argument]:
    """The command line that creates the cluster; the kubeconfig is kind's own, never the user's."""
    return [
        "kind",
        "create",
        "cluster",
        f"--config={CONFIG}",
        f"--name={KIND_NAME}",
        f"--kubeconfig={paths.kind_kubeconfig()}",
        "--wait=120s",
    ]


def edge_manifest() -> str:
    """The node's edge with upstream's image of the same program."""
    text = EDGE.read_text().replace("node.local/traefik:1", EDGE_IMAGE)
    return text.replace("${NODE_IP}", "127.0.0.1")

"""The cluster of kind, where a Docker engine answers. Its command lines are tested; it was not run."""

import json
import shutil
import time

from k8s.local import cluster as clusters
from k8s.local import commands, paths
from k8s.local.cluster import KIND_NAME, Cluster
from k8s.local.errors import LocalError
from k8s.node import files

CREATE_SECONDS, START_SECONDS = 600, 120
CONTAINER = f"{KIND_NAME}-control-plane"
SYSTEM = ("-n", "kube-system")
METRICS = ("deployment", "metrics-server")
MARK = "made-from"
"""The annotation that says which of upstream's files were applied."""
CONFIG = paths.ROOT / "k8s" / "kind.yaml"
EDGE_IMAGE = "docker.io/library/traefik:v3.7.15"
EDGE = paths.ROOT / "k8s" / "node" / "manifests" / "50-ingress.yaml"
UPSTREAM = {
    "gateway": "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.1/standard-install.yaml",
    "metrics": "https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.9.0/components.yaml",
}


def state() -> str:
    """`absent`, `stopped` or `running`: the container that is kind's cluster."""
    if not (shutil.which("kind") and shutil.which("docker")):
        return "absent"
    asked = commands.attempt("docker", "inspect", "--format={{.State.Running}}", CONTAINER)
    if asked.returncode:
        return "absent"
    return "running" if asked.stdout.strip() == "true" else "stopped"


def is_ours() -> bool:
    """Whether `up` made the cluster, or began to: else it is somebody's who likes the same name."""
    before = clusters.remembered()
    return paths.kind_kubeconfig().exists() or (before is not None and before.provider == "kind")


def refuse_foreign() -> None:
    """Raise LocalError when a cluster of that name exists which `up` did not make."""
    if not is_ours() and state() != "absent":
        raise LocalError(
            f"There is a kind cluster called {KIND_NAME} which `make up` did not make; it is left alone. "
            f"If nobody needs it, `kind delete cluster --name={KIND_NAME}` makes room."
        )


def up(cluster: Cluster) -> None:
    """Create the cluster when it is not there, with the edge that the node has, and metrics for the HPA."""
    paths.state().mkdir(parents=True, exist_ok=True, mode=0o700)
    found = state()
    if found != "absent" and not paths.kind_kubeconfig().exists():
        down()  # its creation was killed
        found = "absent"
    if found == "absent":
        commands.run_logged(paths.logs() / "kind.log", *create_command(), timeout=CREATE_SECONDS)
    elif found == "stopped":
        _start(cluster)
    _apply_upstream(cluster)
    commands.run(*cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-"), text=edge_manifest())


def _start(cluster: Cluster) -> None:
    commands.run("docker", "start", CONTAINER)
    deadline = time.monotonic() + START_SECONDS
    while (asked := commands.attempt(*cluster.kubectl("get", "--raw=/readyz"))).returncode:
        if time.monotonic() > deadline:
            why = commands.last_line(asked.stderr)
            raise LocalError(f"kind's cluster does not answer {START_SECONDS} s after its start: {why}.")
        time.sleep(1)


def _apply_upstream(cluster: Cluster) -> None:
    """Once for each version: applying again would undo the patch, and restart what it patches."""
    wanted = files.digest(UPSTREAM.values())
    answer = f"jsonpath={{.metadata.annotations.{MARK}}}"
    asked = commands.run(*cluster.kubectl(*SYSTEM, "get", *METRICS, "--ignore-not-found", "-o", answer))
    if asked.strip() == wanted:
        return
    for address in UPSTREAM.values():
        commands.run(*cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", address), timeout=120)
    # kind's kubelets have certificates that no authority signed
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--kubelet-insecure-tls"}]
    commands.run(*cluster.kubectl(*SYSTEM, "patch", *METRICS, "--type=json", f"--patch={json.dumps(patch)}"))
    commands.run(*cluster.kubectl(*SYSTEM, "annotate", "--overwrite", *METRICS, f"{MARK}={wanted}"))


def down(*, keep_data: bool = False) -> None:
    """Delete the cluster that `up` made, or with keep_data stop its container: `up` starts it again."""
    if not (is_ours() and shutil.which("kind") and shutil.which("docker")):
        return
    if keep_data:
        if state() == "running":
            commands.run("docker", "stop", CONTAINER, timeout=120)
    else:
        commands.run("kind", "delete", "cluster", f"--name={KIND_NAME}", timeout=120)
        paths.kind_kubeconfig().unlink(missing_ok=True)


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

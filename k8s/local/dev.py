"""`make dev`: Skaffold over the same Dockerfile and chart; an edited file reaches the pods and reloads."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from k8s.local import commands, edge, images, paths, release
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.local.lock import exclusive
from k8s.local.up import kubectl_line, start_cluster
from k8s.node import tools
from k8s.node.progress import Progress


def dev(verb: str, progress: Progress) -> None:
    """Run Skaffold on the local cluster until Ctrl-C; the release stays, `make up` makes it plain again."""
    with exclusive("dev"):
        cluster = start_cluster(progress)
        command, environment = skaffold(cluster, verb, progress)
        release.prepare(cluster)
        edge.open_way(cluster, progress)
        progress(f"{paths.ORIGIN} (CA {paths.ca_certificate()}); {kubectl_line(cluster)}")
        code = _run(command, environment)
    if code not in (0, 130):
        raise LocalError(f"skaffold ended with exit code {code}; its reason is above.")


def skaffold(cluster: Cluster, verb: str, progress: Progress) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of Skaffold for this cluster."""
    # Skaffold labels every pod template with the id of its run, so that each start would restart Postgres and
    # Redis: an id that stays the same does not. Its own check for readiness looks for the other: helm waits instead
    options = ["--label=skaffold.dev/run-id=local", "--status-check=false", "--interactive=false", "--cleanup=false"]
    target = [f"--kubeconfig={cluster.kubeconfig}"] if cluster.kubeconfig else []
    target += [f"--kube-context={cluster.context}"] if cluster.context else []
    target += [f"--default-repo={cluster.registry}"] if cluster.registry else []
    environment = {**os.environ, "SKAFFOLD_UPDATE_CHECK": "false"}
    if cluster.provider == "node":
        progress("tools: skaffold and helm 3 (built when first asked for: about 5 minutes)")
        environment["PATH"] = f"{_helm3_folder(cluster, progress)}:{environment['PATH']}"
    program = tools.path("skaffold", progress) if cluster.provider == "node" else commands.on_path("skaffold")
    profile = [] if images.with_docker(f"{cluster.registry}/") else ["--profile=node"]
    return [str(program), verb, *profile, *target, f"--namespace={paths.NAMESPACE}", *options], environment


def build_artifact(service: str, environment: Mapping[str, str]) -> None:
    """Build one image for Skaffold, which says by IMAGE and PUSH_IMAGE what it wants."""
    ref = environment.get("IMAGE", "")
    if not ref:
        raise LocalError("IMAGE is not set; this command is called by Skaffold.")
    images.build(service, ref, target="dev")
    if environment.get("PUSH_IMAGE") == "true":
        images.push(ref)


def _helm3_folder(cluster: Cluster, progress: Progress) -> Path:
    """A folder whose `helm` is version 3, the only one Skaffold speaks; and the cluster's kubectl."""
    folder = paths.cache() / "skaffold-path"
    folder.mkdir(parents=True, exist_ok=True)
    for name, program in (("helm", tools.path("helm3", progress)), ("kubectl", cluster.tool("kubectl"))):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    return folder


def _run(command: list[str], environment: Mapping[str, str]) -> int:
    """Run in the foreground; Ctrl-C reaches Skaffold by the terminal, and its end is waited for."""
    process = subprocess.Popen(command, cwd=paths.ROOT, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()  # SIGTERM to us alone has not reached it; after Ctrl-C it is already ending

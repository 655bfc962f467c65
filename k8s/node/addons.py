"""What runs inside the cluster: names, metrics, volumes, the edge."""

import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from k8s.node import api, containerd, files, paths, tools
from k8s.node.archives import Archive
from k8s.node.errors import NodeError
from k8s.node.processes import wait
from k8s.node.progress import Progress

NAMESPACES = ("kube-system", "local-path-storage", "ingress")
GATEWAY_API = "sigs.k8s.io/gateway-api"
OWN_IMAGE = re.compile(r"node\.local/([a-z-]+):1\b")


def values(images: Mapping[str, Archive]) -> dict[str, str]:
    """What the manifests' placeholders stand for."""
    return {
        "SHELL_IMAGE": images["redis"].ref,  # any image with a shell; this one is there
        "DNS_SERVICE": paths.DNS_SERVICE,
        "NODE_IP": paths.NODE_IP,
        "VOLUMES": str(paths.state() / "volumes"),
    }


def render(manifest: Path, images: Mapping[str, Archive]) -> str:
    """A manifest with its placeholders filled and `node.local/NAME:1` made the image of that name.

    The tag becomes a hash of the image, so that a new program rolls its pods. NodeError for a
    placeholder or an image that nobody fills.
    """
    try:
        text = OWN_IMAGE.sub(lambda found: images[found[1]].ref, manifest.read_text())
        return Template(text).substitute(values(images))
    except KeyError as error:
        raise NodeError(f"{manifest.name} asks for {error}, which nobody fills") from error


def apply(images: Mapping[str, Archive]) -> None:
    """Apply everything; what is there and unchanged stays untouched."""
    _apply_gateway_api()
    _apply("\n---\n".join(render(manifest, images) for manifest in sorted(paths.MANIFESTS.glob("*.yaml"))))


def _apply_gateway_api() -> None:
    """Its definitions are large and the same for good: applied when their version is not there."""
    source = tools.module_folder(GATEWAY_API, "gateway-api") / "config/crd/standard"
    texts = [file for file in sorted(source.glob("*.yaml")) if "kustomization" not in file.name]
    version = files.digest(texts)
    query = ("crd", "gateways.gateway.networking.k8s.io", "--ignore-not-found", "-o")
    label = api.kubectl("get", *query, "jsonpath={.metadata.labels.node\\.slipway}").stdout
    if label == version:
        return
    _apply("\n---\n".join(file.read_text() for file in texts))
    names = [
        name
        for name in api.kubectl("get", "crd", "-o", "name").stdout.split()
        if name.endswith(".gateway.networking.k8s.io")
    ]
    api.kubectl("label", "--overwrite", *names, f"node.slipway={version}")


def _apply(text: str) -> None:
    def attempt() -> str:
        done = api.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text, check=False)
        return done.stderr.strip() if done.returncode else ""

    # again and again: a namespace's account or a definition may be seconds younger than what needs it
    wait("add-ons applied", attempt, part="apiserver", seconds=45)


def wait_available(progress: Progress) -> None:
    """Wait until the add-ons run here and now; what etcd remembers of the last run does not count."""
    try:
        wait("add-ons available", _unavailable, part="kubelet", seconds=120)
    except NodeError as error:
        found = [
            api.kubectl("-n", space, "get", "pods,events", "-o", "wide", check=False).stdout for space in NAMESPACES
        ]
        raise NodeError(str(error), details="\n".join([error.details, *found])) from error
    progress("add-ons available; waiting for the first metrics")
    wait("resource metrics", api.succeeds("top", "node"), part="policies", seconds=90)


def _unavailable() -> str:
    running = containerd.running_containers()
    bad = stale(api.get("pods", "-A"), running)
    for deployment in api.get("deployments", "-A"):
        status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
        is_current = status.get("observedGeneration") == deployment["metadata"]["generation"]
        is_ours = deployment["metadata"]["namespace"] in NAMESPACES
        if is_ours and (status.get("availableReplicas", 0) < wanted or not is_current):
            bad.append(deployment["metadata"]["name"])
    return f"not available: {', '.join(bad)}" if bad else ""


def stale(pods: list[dict[str, Any]], running: set[str]) -> list[str]:
    """Pods that the API server calls running although their containers do not run here (any more)."""
    found = []
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            identity = container.get("containerID", "").removeprefix("containerd://")
            if "running" in container.get("state", {}) and identity not in running:
                found.append(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
    return found

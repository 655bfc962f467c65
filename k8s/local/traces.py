"""The collector of traces on the local cluster, and a request's trace as a tree: `make trace ID=…`."""

import hashlib
import json
import re
import subprocess
from typing import Any

from k8s.local import cluster as clusters
from k8s.local import paths, release
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError

NAME = f"{paths.RELEASE}-traces"
PORT = 4318
FILE = paths.ROOT / "k8s" / "monitoring" / "trace_collector.py"
FOLDER = "/collector"
USER = 65532
ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
SECONDS = 30

LABELS = {"app.kubernetes.io/name": NAME, **release.MINE}
SELECTOR = {"app.kubernetes.io/name": NAME}


def values() -> list[str]:
    """The helm arguments that have the release send every trace here."""
    peers = [{"podSelector": {"matchLabels": SELECTOR}}]
    return [
        f"--set-string=tracing.endpoint=http://{NAME}:{PORT}",
        "--set-string=tracing.ratio=1",
        f"--set-json=tracing.peers={json.dumps(peers)}",
    ]


def apply(cluster: Cluster, image: str) -> None:
    """Put the collector beside the release; `image` is one of a service, for its Python and its protobuf."""
    release.apply(cluster, objects(image))


def objects(image: str) -> list[dict[str, Any]]:
    """What it is made of, by the restricted standard, reached by the release's pods alone."""
    code = FILE.read_text(encoding="utf-8")
    stamp = hashlib.sha256(code.encode()).hexdigest()[:12]
    here = {"name": NAME, "namespace": paths.NAMESPACE, "labels": LABELS}
    senders = [{"podSelector": {"matchLabels": {"app.kubernetes.io/instance": paths.RELEASE}}}]
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": here, "data": {FILE.name: code}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": here,
            "spec": {"selector": SELECTOR, "ports": [{"name": "otlp", "port": PORT, "targetPort": "otlp"}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": here,
            "spec": {
                "podSelector": {"matchLabels": SELECTOR},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": senders, "ports": [{"port": "otlp"}]}],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": here,
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": SELECTOR},
                "template": {
                    "metadata": {"labels": LABELS, "annotations": {"slipway/code": stamp}},
                    "spec": _pod(image),
                },
            },
        },
    ]


def _pod(image: str) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "collector",
                "image": image,
                "command": ["python", f"{FOLDER}/{FILE.name}", "serve"],
                "env": [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
                "ports": [{"name": "otlp", "containerPort": PORT}],
                "readinessProbe": {"tcpSocket": {"port": "otlp"}},
                "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "192Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "code", "mountPath": FOLDER, "readOnly": True}],
            }
        ],
        "volumes": [{"name": "code", "configMap": {"name": NAME}}],
    }


def trace(wanted: str) -> int:
    """Print the tree of a trace id or a request id; the exit code. Raises LocalError for what is neither."""
    if not ID.fullmatch(wanted):
        raise LocalError(
            "ID is missing or no id: make trace ID=… takes a trace id or an X-Request-ID, or how it begins."
        )
    cluster = clusters.choose()
    command = cluster.kubectl(
        "-n", paths.NAMESPACE, "exec", f"deployment/{NAME}", "--",
        "python", f"{FOLDER}/{FILE.name}", "show", wanted,
    )  # fmt: skip
    try:
        return subprocess.run(list(map(str, command)), check=False, timeout=SECONDS).returncode
    except subprocess.TimeoutExpired:
        raise LocalError(f"The collector {NAME} did not answer within {SECONDS} s: make status.") from None

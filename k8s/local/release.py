"""The Slipway release on a cluster: namespace, certificate, helm; nothing is done when nothing changed."""

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from k8s.local import certificates, commands, diagnosis, paths
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.node.progress import Progress

TIMEOUT_SECONDS = 300
MANAGER = "slipway-local"
MINE = {"app.kubernetes.io/managed-by": MANAGER}
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


def prepare(cluster: Cluster) -> None:
    """The namespace under the restricted standard, and in it the edge's certificate from the local CA."""
    certificate, key = certificates.ensure(paths.state())
    objects = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": paths.NAMESPACE, "labels": MINE | RESTRICTED},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": paths.TLS_SECRET, "namespace": paths.NAMESPACE, "labels": MINE},
            "stringData": {"tls.crt": certificate.read_text(), "tls.key": key.read_text()},
        },
    ]
    apply(cluster, objects)


def apply(cluster: Cluster, objects: list[dict[str, Any]]) -> None:
    """Server-side apply of plain objects."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    options = ("--server-side", "--force-conflicts", f"--field-manager={MANAGER}")
    commands.run(*cluster.kubectl("apply", *options, "-f", "-"), text=text)


def install(cluster: Cluster, tags: Mapping[str, str], progress: Progress) -> bool:
    """Install or upgrade with these image tags and wait until all is ready; whether there was anything to do.

    Raises LocalError, after printing pods, events and logs, when the release does not get ready in time.
    """
    settings = values(cluster, tags)
    stamp = fingerprint(settings)
    if _deployed(cluster) == stamp and not diagnosis.pending(cluster, paths.NAMESPACE):
        return False
    _recover(cluster)
    _helm(cluster, settings, stamp, progress)
    return True


def values(cluster: Cluster, tags: Mapping[str, str]) -> list[str]:
    """The helm arguments that tell the chart about this cluster's images."""
    images = [f"--set-string=global.image.tags.{name}={tag}" for name, tag in sorted(tags.items())]
    return [f"--values={paths.VALUES}", f"--set-string=global.image.registry={cluster.registry}", *images]


def fingerprint(settings: list[str]) -> str:
    """A digest of everything the release is rendered from: chart, values, image tags."""
    digest = hashlib.sha256("\n".join(settings).encode())
    for path in _files():
        digest.update(f"{path.relative_to(paths.ROOT)}\n".encode())
        digest.update(path.read_bytes())
    return f"made from {digest.hexdigest()[:16]}"


def _files() -> Iterator[Path]:
    yield paths.VALUES
    yield from sorted(path for path in paths.CHART.rglob("*") if path.is_file())


def _deployed(cluster: Cluster) -> str:
    """The fingerprint of the release in place, "" when there is none or it is not in order."""
    info = _status(cluster)
    return str(info.get("description", "")) if info.get("status") == "deployed" else ""


def _status(cluster: Cluster) -> dict[str, Any]:
    answer = commands.attempt(*cluster.helm("status", paths.RELEASE, "-n", paths.NAMESPACE, "-o", "json"))
    info: dict[str, Any] = json.loads(answer.stdout)["info"] if answer.returncode == 0 else {}
    return info


def _recover(cluster: Cluster) -> None:
    """Forget an operation whose helm was killed: helm itself would wait for it for ever.

    Nobody else can be at work: the caller holds this machine's lock, and the cluster is this machine's.
    """
    status = str(_status(cluster).get("status", ""))
    if status.startswith("pending-"):
        labels = f"owner=helm,name={paths.RELEASE},status={status}"
        commands.run(*cluster.kubectl("-n", paths.NAMESPACE, "delete", "secret", "-l", labels))


def _helm(cluster: Cluster, settings: list[str], stamp: str, progress: Progress) -> None:
    log = paths.logs() / "helm.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = cluster.helm(
        "upgrade", "--install", paths.RELEASE, paths.CHART, "-n", paths.NAMESPACE, *settings,
        f"--description={stamp}", "--wait", "--wait-for-jobs", f"--timeout={TIMEOUT_SECONDS}s",
    )  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output)
        try:
            _watch(cluster, process, progress)
        except BaseException:
            process.terminate()  # helm marks the release as failed, so that the next `up` can go on
            process.wait(timeout=30)
            raise
    if process.returncode:
        print(diagnosis.report(cluster, paths.NAMESPACE), flush=True)
        raise LocalError(f"helm did not finish: {commands.last_line(log.read_text())}; its log is {log}.")


def _watch(cluster: Cluster, process: "subprocess.Popen[bytes]", progress: Progress) -> None:
    """Tell what is waited for whenever that changes, until helm ends."""
    deadline = time.monotonic() + TIMEOUT_SECONDS + 30
    said: list[str] = []
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise LocalError(f"helm did not end within {TIMEOUT_SECONDS + 30} s.")
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            waiting = diagnosis.pending(cluster, paths.NAMESPACE)
            if waiting and waiting != said:
                progress("  waiting for " + "; ".join(waiting))
            said = waiting


def uninstall(cluster: Cluster) -> None:
    """Remove the release and its namespace, if the namespace is one that `up` made."""
    namespace = commands.attempt(*cluster.kubectl("get", "namespace", paths.NAMESPACE, "-o", "json"))
    if namespace.returncode:
        return
    labels = json.loads(namespace.stdout)["metadata"].get("labels", {})
    if labels.get("app.kubernetes.io/managed-by") != MANAGER:
        raise LocalError(f"The namespace {paths.NAMESPACE} is not one that `make up` made; it is left alone.")
    commands.attempt(*cluster.helm("uninstall", paths.RELEASE, "-n", paths.NAMESPACE), timeout=120)
    commands.run(*cluster.kubectl("delete", "namespace", paths.NAMESPACE), timeout=180)

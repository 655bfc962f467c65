"""The Slipway release on a cluster: namespace, certificate, helm; nothing is done when nothing changed."""

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from k8s.local import certificates, commands, diagnosis, paths
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.node.commands import dying_with_us
from k8s.node.progress import Progress

TIMEOUT_SECONDS, END_SECONDS = 300, 30
MANAGER = "slipway-local"
MINE = {"app.kubernetes.io/managed-by": MANAGER}
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


def prepare(cluster: Cluster) -> None:
    """The namespace under the restricted standard, and in it the edge's certificate from the local CA.

    Raises LocalError, before anything is changed, when there is such a namespace and `up` did not make it.
    """
    if _owner(cluster) not in (None, MANAGER):
        raise LocalError(
            f"There is a namespace {paths.NAMESPACE} which `make up` did not make; nothing in it was changed. "
            "Delete it if nobody needs it, or name another cluster."
        )
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


def _owner(cluster: Cluster) -> str | None:
    """Who manages the namespace: "" when nobody says so, None when there is no namespace."""
    found = commands.run(*cluster.kubectl("get", "namespace", paths.NAMESPACE, "--ignore-not-found", "-o", "json"))
    if not found.strip():
        return None
    return str(json.loads(found)["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by", ""))


def apply(cluster: Cluster, objects: list[dict[str, Any]]) -> None:
    """Server-side apply of plain objects."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    options = ("--server-side", "--force-conflicts", f"--field-manager={MANAGER}")
    commands.run(*cluster.kubectl("apply", *options, "-f", "-"), text=text)


def install(cluster: Cluster, tags: Mapping[str, str], progress: Progress, more: Sequence[str] = ()) -> bool:
    """Install or upgrade with these image tags and wait until all is ready; whether there was anything to do.

    `more` are helm arguments besides those that tell the chart about this cluster's images.

    Raises LocalError, after printing pods, events and logs, when the release does not get ready in time.
    """
    settings = [*values(cluster, tags), *more]
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


def state(cluster: Cluster) -> str:
    """Helm's word for the release: `deployed`, `failed`, `pending-upgrade`, ...; "" when there is none."""
    return str(_status(cluster).get("status", ""))


def _status(cluster: Cluster) -> dict[str, Any]:
    answer = commands.attempt(*cluster.helm("status", paths.RELEASE, "-n", paths.NAMESPACE, "-o", "json"))
    info: dict[str, Any] = json.loads(answer.stdout)["info"] if answer.returncode == 0 else {}
    return info


def _recover(cluster: Cluster) -> None:
    """Forget an operation whose helm was killed: helm itself would wait for it for ever.

    On a cluster of this machine nobody else can be at work: the caller holds the lock, and a helm dies with its
    `up`. On any other somebody may.
    """
    status = state(cluster)
    if not status.startswith("pending-"):
        return
    if cluster.provider == "context":
        raise LocalError(
            f"The release {paths.RELEASE} is {status}: another helm is at work on it, or one was killed. Wait for it, "
            f"or end it by `helm rollback {paths.RELEASE} -n {paths.NAMESPACE}`."
        )
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
        words = [str(part) for part in dying_with_us(command)]  # else it goes on under the next `up`
        process = subprocess.Popen(words, stdout=output, stderr=output)
        try:
            _watch(cluster, process, progress)
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        print(diagnosis.report(cluster, paths.NAMESPACE), flush=True)
        raise LocalError(f"helm did not finish: {commands.last_line(log.read_text())}; its log is {log}.")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End helm, which marks the release as failed so that the next `up` can go on; not for ever."""
    process.terminate()
    try:
        process.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
    owner = _owner(cluster)
    if owner is None:
        return
    if owner != MANAGER:
        raise LocalError(f"The namespace {paths.NAMESPACE} is not one that `make up` made; it is left alone.")
    commands.attempt(*cluster.helm("uninstall", paths.RELEASE, "-n", paths.NAMESPACE), timeout=120)
    commands.run(*cluster.kubectl("delete", "namespace", paths.NAMESPACE), timeout=180)

"""Why a release does not get ready: its pods, their last events, the end of their logs."""

import json
from typing import Any

from k8s.local import commands
from k8s.local.cluster import Cluster

LOG_LINES = 8
EVENTS = 8


def pending(cluster: Cluster, namespace: str) -> list[str]:
    """One line for each pod that is neither ready nor done: its name and what it waits for."""
    return [f"{pod['metadata']['name']}: {_reason(pod)}" for pod in _pods(cluster, namespace) if not _settled(pod)]


def report(cluster: Cluster, namespace: str) -> str:
    """Everything worth reading about the pods that are not ready, with the last events of the namespace."""
    parts = [_pod_report(cluster, namespace, pod) for pod in _pods(cluster, namespace) if not _settled(pod)]
    return "\n".join([*parts, "Last events:", *_events(cluster, namespace)])


def _pods(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    answer = commands.attempt(*cluster.kubectl("-n", namespace, "get", "pods", "-o", "json"))
    items: list[dict[str, Any]] = json.loads(answer.stdout)["items"] if answer.returncode == 0 else []
    return items


def _settled(pod: dict[str, Any]) -> bool:
    """Whether nobody waits for the pod: it is ready, done, on its way out, or there by the clock."""
    if pod["metadata"].get("labels", {}).get("app.kubernetes.io/component", "").endswith("-cron"):
        return True  # what failed in one run is tried by the next, and no release is less in order for it
    if pod["status"].get("phase") == "Succeeded" or "deletionTimestamp" in pod["metadata"]:
        return True
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _reason(pod: dict[str, Any]) -> str:
    """The most telling of the states that Kubernetes reports for a pod."""
    status = pod["status"]
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    for container in containers:
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "PodInitializing"):
            return f"{container['name']} {waiting['reason']} {_one_line(waiting.get('message', ''))}".strip()
    for container in containers:
        ended = container.get("state", {}).get("terminated", {})
        if ended.get("exitCode", 0) != 0:
            return f"{container['name']} ended with exit code {ended['exitCode']}"
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"not scheduled: {_one_line(condition.get('message', ''))}"
    return "running, not ready" if status.get("phase") == "Running" else str(status.get("phase", "unknown"))


def _pod_report(cluster: Cluster, namespace: str, pod: dict[str, Any]) -> str:
    name = pod["metadata"]["name"]
    logs = commands.attempt(
        *cluster.kubectl("-n", namespace, "logs", name, "--all-containers", f"--tail={LOG_LINES}", "--prefix")
    ).stdout
    lines = [f"Pod {name}: {_reason(pod)}", *(f"  {line}" for line in logs.splitlines())]
    return "\n".join(lines)


def _events(cluster: Cluster, namespace: str) -> list[str]:
    columns = "custom-columns=A:.lastTimestamp,B:.involvedObject.name,C:.reason,D:.message"
    answer = commands.attempt(
        *cluster.kubectl("-n", namespace, "get", "events", "--sort-by=.lastTimestamp", "--no-headers", "-o", columns)
    )
    return [f"  {_one_line(line)}" for line in answer.stdout.splitlines()[-EVENTS:]]


def _one_line(text: str) -> str:
    limit = 300
    return " ".join(text.split())[:limit]

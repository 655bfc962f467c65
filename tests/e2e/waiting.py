"""Waits with a deadline; a missed one shows the objects, their last events and their logs."""

import json
import time
from collections.abc import Callable
from typing import TypeVar

from k8s.local import commands
from tests.e2e.kube import Kube, Object

T = TypeVar("T")

EVENTS, LOG_LINES = 12, 15
FELT_WAIT_SECONDS = 30


def wait_until(
    fact: str, probe: Callable[[], T], *, seconds: float, otherwise: Callable[[], str], pause_seconds: float = 0.5
) -> T:
    """Ask `probe` until its answer is true and return that; else fail with the fact and what `otherwise` shows."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds:.0f} s: {fact}; last answer: {answer!r}\n{otherwise()}")
        time.sleep(pause_seconds)
    return answer


def felt_after(probe: Callable[[], bool], fact: str, otherwise: Callable[[], str]) -> float:
    """Seconds from now until the last question began whose answer was not so yet: a slow answer is no late one."""
    said = last = time.monotonic()

    def asked() -> bool:
        nonlocal last
        at = time.monotonic()
        if found := probe():
            return found
        last = at
        return False

    wait_until(fact, asked, seconds=FELT_WAIT_SECONDS, otherwise=otherwise, pause_seconds=0.02)
    return last - said


def report(kube: Kube, namespace: str, labels: str = "") -> str:
    """The pods of a namespace with the ends of their logs, and the last events: what a failure shows."""
    pods = [_pod(kube, pod) for pod in kube.objects("Pod", namespace, labels)]
    return "\n".join([*(pods or [f"no pods in {namespace} {labels}"]), "last events:", *events(kube, namespace)])


def events(kube: Kube, namespace: str) -> list[str]:
    """The last events of a namespace, the newest at the end."""
    found = sorted(kube.objects("Event", namespace), key=lambda event: str(event.get("lastTimestamp") or ""))
    return [
        f"  {event.get('lastTimestamp')} {event['involvedObject'].get('name')} {event.get('reason')}: "
        f"{event.get('message')}"
        for event in found[-EVENTS:]
    ]


def ready(pod: Object) -> bool:
    """Whether a pod is ready and not on its way out."""
    conditions = pod.get("status", {}).get("conditions", [])
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return is_ready and "deletionTimestamp" not in pod["metadata"]


def _pod(kube: Kube, pod: Object) -> str:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    states = [each.get("state") for each in pod["status"].get("containerStatuses", [])]
    log = commands.attempt(
        *kube.cluster.kubectl("-n", namespace, "logs", name, "--all-containers", f"--tail={LOG_LINES}")
    ).stdout
    lines = [f"pod {name}: {pod['status'].get('phase')}, ready: {ready(pod)}, {json.dumps(states)}"]
    return "\n".join([*lines, *(f"  {line}" for line in log.splitlines())])

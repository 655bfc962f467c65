"""Inside pods: commands, connections to other pods, a way in past the edge."""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import httpx2

from k8s.local import commands
from tests.e2e.kube import Kube, Object
from tests.e2e.waiting import ready, report, wait_until

CONNECT_SECONDS = 3
_CONNECT = f"""
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), {CONNECT_SECONDS}).close()
    print("connected")
except OSError as error:
    print("refused:", error)
"""


def execute(kube: Kube, pod: Object, *command: str) -> str:
    """What a command prints inside the first container of a pod; raises LocalError when it fails."""
    meta = pod["metadata"]
    return commands.run(*kube.cluster.kubectl("-n", meta["namespace"], "exec", meta["name"], "--", *command))


def connects(kube: Kube, pod: Object, address: str, port: int) -> bool:
    """Whether a TCP connection from a pod with Python comes about.

    Only what the pod itself says counts: an exec that fails is an error, not a refusal.
    """
    said = execute(kube, pod, "python", "-c", _CONNECT, address, str(port)).strip()
    assert said == "connected" or said.startswith("refused:"), said
    return said == "connected"


def start(
    kube: Kube,
    namespace: str,
    name: str,
    image: str,
    *,
    environment: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    becomes_ready: bool = True,
    **container: Any,
) -> Object:
    """A pod that no controller owns, restricted as its namespace wants it; returned once it is ready, or only runs."""
    contained = {
        "name": name,
        "image": image,
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **container,
    }
    spec = {
        "containers": [contained],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": name, **(labels or {})}}
    kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def there() -> bool:
        pod = kube.get("Pod", name, namespace)
        return ready(pod) if becomes_ready else pod["status"]["phase"] == "Running"

    wait_until(
        f"the pod {name} is there",
        there,
        seconds=60,
        otherwise=lambda: report(kube, namespace),
    )
    return kube.get("Pod", name, namespace)


@contextmanager
def directly(kube: Kube, pod: Object, port: int) -> Iterator[httpx2.Client]:
    """A client of one port of one pod, past edge, Service and readiness, by `kubectl port-forward`."""
    meta = pod["metadata"]
    command = kube.cluster.kubectl("-n", meta["namespace"], "port-forward", meta["name"], f":{port}")
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{_local_port(process.stdout)}", timeout=15, trust_env=False
        ) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()


def _local_port(output: IO[str]) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        line = output.readline()
        if found := re.search(r"127\.0\.0\.1:(\d+) ->", line):
            return int(found[1])
        assert line, "kubectl port-forward ended before it forwarded"
    raise AssertionError("kubectl port-forward did not say within 20 s where it listens")

"""Questions to the cluster: kubectl, and probes that `processes.wait` asks again and again."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

from k8s.node import paths, tools
from k8s.node.commands import reason, run
from k8s.node.processes import inside


def kubectl(*words: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run kubectl as the administrator."""
    command = [str(tools.path("kubectl")), f"--kubeconfig={paths.kubeconfig()}", "--request-timeout=20s", *words]
    return run(command, check=check, text=text)


def get(*words: str) -> list[dict[str, Any]]:
    """The objects that `kubectl get` finds."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", *words, "-o", "json").stdout)["items"]
    return found


def answers(url: str) -> Callable[[], str]:
    """A probe: whether an address inside the node's network answers with success."""

    def probe() -> str:
        done = run([*inside(), "curl", "-fsSk", "-m", "3", "-o", "/dev/null", url], check=False)
        return reason(done) if done.returncode else ""

    return probe


def succeeds(*words: str) -> Callable[[], str]:
    """A probe: whether a kubectl command ends well."""

    def probe() -> str:
        done = kubectl(*words, check=False)
        return reason(done) if done.returncode else ""

    return probe


def node_ready() -> str:
    """A probe: the kubelet calls its node ready."""
    for condition in json.loads(kubectl("get", "node", paths.NAME, "-o", "json").stdout)["status"]["conditions"]:
        if condition["type"] == "Ready":
            return "" if condition["status"] == "True" else f"node not ready: {condition.get('message', '')}"
    return "the node has not reported yet"

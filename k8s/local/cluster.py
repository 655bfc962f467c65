"""Which cluster the commands work on, and why that one."""

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from k8s.local import commands, docker, paths
from k8s.local.errors import LocalError
from k8s.node import cluster as node
from k8s.node import tools

KIND_NAME = "slipway"


@dataclass(frozen=True)
class Cluster:
    """One cluster and the way to it.

    `registry` is what images are pushed to ("" when they are loaded into the cluster instead), `edge` the
    address of its ingress controller ("" when that is known only later or the cluster maps ports by itself).
    """

    provider: str  # "node", "kind" or "context"
    why: str
    registry: str = ""
    edge: str = ""
    kubeconfig: str = ""
    context: str = ""

    def kubectl(self, *arguments: commands.Argument) -> list[commands.Argument]:
        """A kubectl command line which names its cluster, so that the user's current context never counts."""
        return [self.tool("kubectl"), *self._target("--context"), *arguments]

    def helm(self, *arguments: commands.Argument) -> list[commands.Argument]:
        """The same for helm."""
        return [self.tool("helm"), *self._target("--kube-context"), *arguments]

    def tool(self, name: str) -> Path:
        """The program `name`: the node's own build, elsewhere the user's."""
        return tools.path(name) if self.provider == "node" else commands.on_path(name)

    def _target(self, context_option: str) -> list[str]:
        kubeconfig = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        return [*kubeconfig, *([f"{context_option}={self.context}"] if self.context else [])]


def choose() -> Cluster:
    """The cluster that `KUBE_CONTEXT` names, else the one `up` chose before, else kind, else the node."""
    if os.environ.get("KUBE_CONTEXT"):
        return _confirmed(named())
    before = remembered()
    if before:
        return before
    return kind("a Docker engine answers") if docker.answers() and shutil.which("kind") else _node(_why_node())


def remember(cluster: Cluster) -> None:
    """Keep the choice, so that the next `up` and `down` work on the same cluster.

    A context of the user's is never remembered: each command has to name it again.
    """
    if cluster.provider == "context":
        return
    _file().parent.mkdir(parents=True, exist_ok=True)
    _file().write_text(json.dumps(asdict(cluster)))


def remembered() -> Cluster | None:
    """The cluster of the last `up` that nobody took down."""
    try:
        before = Cluster(**json.loads(_file().read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return replace(before, why="`make up` chose it before, `make down` forgets it")


def forget() -> None:
    """After `down`: the next `up` chooses anew."""
    _file().unlink(missing_ok=True)


def kind(why: str) -> Cluster:
    """Kind's cluster: images are loaded into its node, its ports are mapped to loopback by k8s/kind.yaml."""
    return Cluster("kind", why, kubeconfig=str(paths.kind_kubeconfig()), context=f"kind-{KIND_NAME}")


def _node(why: str) -> Cluster:
    return Cluster("node", why, node.registry(), node.address(), str(node.kubeconfig()))


def named() -> Cluster:
    """The cluster that KUBE_CONTEXT names; LocalError when the user's kubeconfig has no such context."""
    context = os.environ.get("KUBE_CONTEXT", "")
    names = commands.run(commands.on_path("kubectl"), "config", "get-contexts", "-o", "name").split()
    if context not in names:
        raise LocalError(f"KUBE_CONTEXT={context} is not in your kubeconfig; it has {', '.join(names) or 'none'}.")
    registry, edge = os.environ.get("REGISTRY", ""), os.environ.get("EDGE", "")
    return Cluster("context", "KUBE_CONTEXT names it", registry, edge, context=context)


def _confirmed(cluster: Cluster) -> Cluster:
    """Say what somebody's cluster gets, and refuse it where nothing could be pulled from."""
    if not cluster.registry:
        raise LocalError(
            f"KUBE_CONTEXT={cluster.context} needs REGISTRY= as well: a registry which you may push to and that "
            "cluster pulls from, such as registry.example.com/team."
        )
    print(
        f"warning: {cluster.context} gets development values: people may sign up, and codes for them are in auth's log",
        file=sys.stderr,
    )
    return cluster


def _why_node() -> str:
    return "a Docker engine answers but kind is not on PATH" if docker.answers() else "no Docker engine answers"


def _file() -> Path:
    return paths.state() / "cluster.json"

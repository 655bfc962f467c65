"""Upstream programs built from the pinned Go modules and kept under a hash of what they were built from."""

import contextlib
import functools
import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from k8s.node import builds, files, packages, paths
from k8s.node.commands import logged, run
from k8s.node.errors import NodeError
from k8s.node.progress import Progress, silent

KUBERNETES = "v1.37.2"
KEEP_SECONDS = 14 * 86400
"""Binaries of other inputs are deleted when nothing has asked for them that long."""


@dataclass(frozen=True)
class Tool:
    """One program: where it comes from, and how long it takes on two cores with an empty build cache."""

    package: str
    seconds: int
    module: str = ""
    """Folder below optional/ with a go.mod of its own; empty for the node's."""
    ldflags: str = ""
    tags: str = ""
    cgo: bool = False


_K8S = "k8s.io/kubernetes/cmd"
_VERSION = "k8s.io/component-base/version"
_K8S_FLAGS = " ".join(
    f"-X {_VERSION}.{key}={value}"  # without these the parts report v0.0.0
    for key, value in {
        "gitVersion": KUBERNETES, "gitMajor": "1", "gitMinor": "37", "gitTreeState": "clean",
    }.items()
)  # fmt: skip
_CNI = "github.com/containernetworking/plugins/plugins"
_CONTAINERD = "github.com/containerd/containerd/v2/cmd"
_SKAFFOLD = "github.com/GoogleContainerTools/skaffold/v2"
_KUBE_STATE_METRICS = "k8s.io/kube-state-metrics/v2"
_PROMETHEUS_TAGS = "remove_all_sd,enable_kubernetes_sd,enable_dns_sd"

NODE = {
    "kube-apiserver": Tool(f"{_K8S}/kube-apiserver", 240, ldflags=_K8S_FLAGS),
    "kube-controller-manager": Tool(f"{_K8S}/kube-controller-manager", 90, ldflags=_K8S_FLAGS),
    "kube-scheduler": Tool(f"{_K8S}/kube-scheduler", 20, ldflags=_K8S_FLAGS),
    "kubelet": Tool(f"{_K8S}/kubelet", 80, ldflags=_K8S_FLAGS),
    "kube-proxy": Tool(f"{_K8S}/kube-proxy", 10, ldflags=_K8S_FLAGS),
    "kubectl": Tool(f"{_K8S}/kubectl", 30, ldflags=_K8S_FLAGS),
    "etcd": Tool("go.etcd.io/etcd/server/v3", 12),
    "containerd": Tool(f"{_CONTAINERD}/containerd", 40),
    "containerd-shim-runc-v2": Tool(f"{_CONTAINERD}/containerd-shim-runc-v2", 3),
    "ctr": Tool(f"{_CONTAINERD}/ctr", 3),
    "runc": Tool("github.com/opencontainers/runc", 11, tags="seccomp", cgo=True),
    "bridge": Tool(f"{_CNI}/main/bridge", 2),
    "loopback": Tool(f"{_CNI}/main/loopback", 1),
    "host-local": Tool(f"{_CNI}/ipam/host-local", 1),
    "portmap": Tool(f"{_CNI}/meta/portmap", 1),
    "coredns": Tool("github.com/coredns/coredns", 55),
    "metrics-server": Tool("sigs.k8s.io/metrics-server/cmd/metrics-server", 15),
    "local-path-provisioner": Tool("github.com/rancher/local-path-provisioner", 8),
    "kube-router": Tool("github.com/cloudnativelabs/kube-router/v2/cmd/kube-router", 95),
    "registry": Tool("github.com/distribution/distribution/v3/cmd/registry", 75, "registry"),
    "helm": Tool("helm.sh/helm/v4/cmd/helm", 16, ldflags="-X helm.sh/helm/v4/internal/version.version=v4.3.1"),
}
"""What `up` needs; helm because everything is installed with it."""

OPTIONAL = {
    "helm3": Tool("helm.sh/helm/v3/cmd/helm", 70, "helm3",
                  "-X helm.sh/helm/v3/internal/version.version=v3.22.0"),
    "kubeconform": Tool("github.com/yannh/kubeconform/cmd/kubeconform", 3, "kubeconform"),
    "skaffold": Tool(f"{_SKAFFOLD}/cmd/skaffold", 210, "skaffold",
                     f"-X {_SKAFFOLD}/pkg/skaffold/version.version=v2.16.1"),
    "prometheus": Tool("github.com/prometheus/prometheus/cmd/prometheus", 110, "prometheus",
                       tags=_PROMETHEUS_TAGS),
    "promtool": Tool("github.com/prometheus/prometheus/cmd/promtool", 110, "prometheus",
                     tags=_PROMETHEUS_TAGS),
    "kube-state-metrics": Tool(_KUBE_STATE_METRICS, 75, "kube-state-metrics",
                               "-X github.com/prometheus/common/version.Version=v2.19.1"),
}  # fmt: skip
"""What builds when first asked for."""

ALL = NODE | OPTIONAL


def path(name: str, progress: Progress = silent) -> Path:
    """The program `name` (kubectl, helm, helm3, skaffold, kubeconform, promtool, ...), built when missing.

    Raises NodeError for a name that nobody builds, a missing or old Go, a failed build (with its log).
    """
    if name not in ALL:
        raise NodeError(f"no tool is called {name!r}; there are {', '.join(sorted(ALL))}")
    program = folder(ALL[name].module) / name
    if not program.exists():
        _build([name], progress)
    return program


def is_cold() -> bool:
    """Whether the node's programs were never built here, so that Go's caches may be empty as well."""
    return not any((paths.cache() / "bin").glob("node-*"))


def go_folders() -> list[Path]:
    """Where Go keeps what it built and the modules' sources."""
    return [Path(line) for line in run([go(), "env", "GOCACHE", "GOMODCACHE"], env=environment()).stdout.split()]


def build(progress: Progress = silent) -> None:
    """Build every program that `up` needs."""
    _build(NODE, progress)


def _build(names: Iterable[str], progress: Progress) -> None:
    wanted = [name for name in names if not (folder(ALL[name].module) / name).exists()]
    if not wanted:
        return
    if any(ALL[name].cgo for name in wanted):
        packages.ensure(progress, packages.TO_BUILD)
    with (
        builds.at_work(),
        files.lock(paths.cache() / "build.lock"),
    ):  # a second builder waits and then finds the work done
        for number, name in enumerate(wanted, 1):
            _build_one(name, f"building {name} ({number} of {len(wanted)})", progress)
    _delete_old()


def _build_one(name: str, what: str, progress: Progress) -> None:
    tool, target = ALL[name], folder(ALL[name].module)
    if (target / name).exists():
        return
    progress(f"{what}: up to {tool.seconds} s the first time, a few when only linked again")
    target.mkdir(parents=True, exist_ok=True)
    draft = target / f".{name}"
    begin = time.monotonic()
    logged(
        [*builds.enter(), *command(tool, draft)], paths.cache() / "log" / f"build-{name}.log",
        f"building {name}", cwd=source(tool.module), env=environment(cgo=tool.cgo),
    )  # fmt: skip
    draft.replace(target / name)
    progress(f"built {name} in {time.monotonic() - begin:.0f} s")


def command(tool: Tool, output: Path) -> list[str]:
    """The `go build` of a tool."""
    flags = ["-trimpath", "-mod=readonly", "-buildvcs=false", f"-ldflags=-s -w {tool.ldflags}".strip()]
    tags = [f"-tags={tool.tags}"] if tool.tags else []
    return [str(go()), "build", *flags, *tags, "-o", str(output), tool.package]


def environment(*, cgo: bool = False) -> dict[str, str]:
    """What Go reads: nothing from the user's flags or workspace, no other Go than the one installed."""
    return {"CGO_ENABLED": "1" if cgo else "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}


def source(module: str) -> Path:
    """The folder with the go.mod of a module."""
    return paths.SOURCE / "optional" / module if module else paths.SOURCE


@functools.cache
def folder(module: str) -> Path:
    """Where a module's programs are kept: its go.mod, go.sum, flags and Go's version make the name."""
    flags = [f"{name} {tool}" for name, tool in sorted(ALL.items()) if tool.module == module]
    inputs: list[str | Path] = [source(module) / "go.mod", source(module) / "go.sum", go_version(module), *flags]
    found = paths.cache() / "bin" / f"{module or 'node'}-{files.digest(inputs)}"
    with contextlib.suppress(OSError):
        os.utime(found)  # so that `_delete_old` keeps what is in use
    return found


def bin_folder() -> Path:
    """The folder of the node's own programs, where containerd looks for runc and the CNI plugins."""
    return folder("")


@functools.cache
def go() -> Path:
    """Go's own program."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not found:
        raise NodeError(f"Go is not installed: install Go {required_go()} or newer and put `go` on PATH")
    return Path(found)


@functools.cache
def go_version(module: str = "") -> str:
    """Such as go1.26.8; NodeError when it is older than the module asks for."""
    version = run([go(), "env", "GOVERSION"], env=environment()).stdout.strip()
    required = required_go(module)
    if numbers(version) < numbers(required):
        raise NodeError(f"Go {version.removeprefix('go')} at {go()} is too old: Go {required} or newer is needed")
    return version


def check_go() -> None:
    """Raise NodeError now, not after other work, when Go is missing or too old for what `up` builds."""
    for module in sorted({tool.module for tool in NODE.values()}):
        go_version(module)


def required_go(module: str = "") -> str:
    """The `go` line of a module; that of one which is not built asks nothing of anybody."""
    lines = (source(module) / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("go "))


def numbers(version: str) -> tuple[int, ...]:
    """`go1.26.8`, `1.26.8` or `1.27rc1` as numbers to compare; a release candidate counts as its release."""
    plain = version.removeprefix("go").split("-")[0].split("rc")[0].split("beta")[0].split()[0]
    return tuple(int(part) for part in plain.split("."))


def module_folder(name: str, module: str = "") -> Path:
    """The sources of a module of the graph, downloaded and checked against go.sum when missing."""
    found = run([go(), "mod", "download", "-json", name], cwd=source(module), env=environment(), timeout_seconds=600)
    return Path(json.loads(found.stdout)["Dir"])


def _delete_old() -> None:
    for old in (paths.cache() / "bin").iterdir():
        if time.time() - old.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(old, ignore_errors=True)

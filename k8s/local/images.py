"""Images of the services: a tag from the digest of what goes into them, build, delivery to a cluster."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from k8s.local import commands, docker, paths
from k8s.local.cluster import KIND_NAME, Cluster
from k8s.local.errors import LocalError
from k8s.node import images as buildah
from k8s.node import paths as node_paths
from k8s.node.errors import NodeError
from k8s.node.progress import Progress, silent

BUILD_SECONDS = 1200
REPOSITORY = "slipway"
EPILOGUE = ("subprocess exited with status", "Error: exit status", 'time="')
STEP_FAILED = "Error: building at STEP"
INDEX_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")


def services(root: Path = paths.ROOT) -> list[str]:
    """Every folder of services/ that can be started: each is an image of its own."""
    return sorted(entry.parent.name for entry in (root / "services").glob("*/__main__.py"))


def inputs(service: str, root: Path = paths.ROOT) -> Iterator[Path]:
    """Every file that goes into the image of `service`, in a fixed order."""
    yield root / ".dockerignore"
    yield root / "services" / "Dockerfile"
    yield root / "requirements" / f"{service}.txt"
    yield root / "services" / "__init__.py"
    for folder in (root / "services" / "common", root / "services" / service):
        yield from sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def tag(service: str, root: Path = paths.ROOT, *, target: str = "production", base: str = "") -> str:
    """Twelve hexadecimal digits that change when anything in the image does, its `base` included."""
    digest = hashlib.sha256(f"{service} {target} {base}\n".encode())
    for path in inputs(service, root):
        if not path.exists():
            raise LocalError(f"{path} is missing; the image of {service} is made of it.")
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root)} {path.stat().st_mode & 0o111 != 0} {content}\n".encode())
    return digest.hexdigest()[:12]


def base(registry: str, progress: Progress = silent) -> str:
    """What names the base of the images for `registry` as it is now, fetched or made when it is missing."""
    if not with_docker(f"{registry}/"):
        return buildah.python_id(progress)
    inspect = ("docker", "image", "inspect", "--format={{.Id}}", buildah.PYTHON)
    if commands.attempt(*inspect).returncode:
        commands.run("docker", "pull", "--quiet", buildah.PYTHON, timeout=BUILD_SECONDS)
    return commands.run(*inspect).strip()


def about_base(registry: str) -> str:
    """The base of the images for `registry`, in words."""
    known = base(registry)
    return f"{buildah.PYTHON}, {known}" if with_docker(f"{registry}/") else buildah.about_python()


def reference(registry: str, service: str, tag: str) -> str:
    """The full name of an image: `registry/slipway/items:tag`, without a registry `slipway/items:tag`."""
    return "/".join(part for part in (registry, REPOSITORY, f"{service}:{tag}") if part)


def present(cluster: Cluster, ref: str) -> bool:
    """Whether the cluster can have `ref` without a build."""
    if cluster.provider == "node":
        return buildah.exists(ref)
    if cluster.provider == "kind":
        node = f"{KIND_NAME}-control-plane"
        return commands.attempt("docker", "exec", node, "crictl", "inspecti", f"docker.io/{ref}").returncode == 0
    return False  # somebody's registry, with whatever credentials: building is quick when nothing changed


def deliver(cluster: Cluster, ref: str) -> None:
    """Bring a built image to where the cluster takes it from."""
    if cluster.provider == "kind":
        commands.run("kind", "load", "docker-image", ref, "--name", KIND_NAME, timeout=300)
    else:
        push(ref)


def build(service: str, ref: str, *, target: str = "production") -> None:
    """Build the image of one service as `ref`; raises LocalError with the cause and the log to read."""
    log = paths.logs() / f"build-{service}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if with_docker(ref):
        commands.run_logged(log, *docker_command(service, ref, target), timeout=BUILD_SECONDS)
        return
    buildah.ensure_python()
    try:
        buildah.build(paths.ROOT, paths.DOCKERFILE, ref, build_args={"SERVICE": service}, target=target, log=log)
    except NodeError as error:
        raise LocalError(f"The image of {service} was not built: {cause(log)}; its log is {log}.") from error


def cause(log: Path) -> str:
    """The line of a build's log that says what went wrong: the last one that is not buildah's own epilogue."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(EPILOGUE)]
    return commands.last_line("\n".join(lines[:-1] if lines and lines[-1].startswith(STEP_FAILED) else lines))


def push(ref: str) -> None:
    """Push a built image to the registry in its name."""
    if with_docker(ref):
        commands.run_logged(paths.logs() / "push.log", "docker", "push", ref, timeout=BUILD_SECONDS)
    else:
        buildah.push(ref)


def docker_command(service: str, ref: str, target: str) -> list[commands.Argument]:
    """The command line that builds one service with Docker.

    Of the package index only the variables' names: Docker reads the values, which may hold a password, from its
    environment, and no other user of this machine sees them in a list of processes.
    """
    given = [f"--build-arg={name}" for name in INDEX_VARIABLES if name in os.environ]
    return ["docker", "build", f"--file={paths.DOCKERFILE}", f"--target={target}", f"--tag={ref}",
            f"--build-arg=SERVICE={service}", *given, paths.ROOT]  # fmt: skip


def with_docker(ref: str = "") -> bool:
    """Whether Docker builds and pushes `ref`: where its engine answers, and else buildah does.

    Never for the node's registry, which speaks plain HTTP: Docker refuses that without a change of its settings.
    """
    return not ref.startswith(f"{node_paths.REGISTRY}/") and docker.answers()

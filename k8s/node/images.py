"""Container images by buildah: base images from Debian packages, images from a Dockerfile, pushing."""

from collections.abc import Mapping
from pathlib import Path

from k8s.node.progress import Progress, silent

PYTHON = "docker.io/library/python:3.13-slim"
POSTGRES = "docker.io/library/postgres:17"
REDIS = "docker.io/library/redis:7"


def ensure_python(progress: Progress = silent) -> str:
    """Make the stand-in for python:3.13-slim when missing, and return its name for `FROM`."""
    raise NotImplementedError


def build(
    context: Path,
    dockerfile: Path,
    ref: str,
    *,
    build_args: Mapping[str, str] | None = None,
    target: str | None = None,
    log: Path | None = None,
) -> None:
    """Build `ref` from a Dockerfile whose base may be `PYTHON`.

    This machine's package configuration (pip.conf and PIP_* variables as one /etc/pip.conf, the CA file,
    the find-links folder) is mounted for the build only. A failure raises NodeError with the last lines
    of the build; everything goes to `log` when given.
    """
    raise NotImplementedError


def push(ref: str, destination: str | None = None) -> str:
    """Push a built image to `destination` (default: `ref` itself), plain HTTP for the node's registry.

    Returns the digest, `sha256:...`.
    """
    raise NotImplementedError


def exists(ref: str) -> bool:
    """Whether `ref` (`host:port/name:tag`) is in its registry."""
    raise NotImplementedError

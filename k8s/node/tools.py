"""Upstream programs built from the pinned Go modules and kept under a hash of what they were built from."""

from pathlib import Path

from k8s.node.progress import Progress, silent


def path(name: str, progress: Progress = silent) -> Path:
    """The program `name` (kubectl, helm, helm3, skaffold, kubeconform, promtool, ...), built when missing.

    Raises NodeError for a name that nobody builds, a missing or old Go, a failed build (with its log).
    """
    raise NotImplementedError


def build(progress: Progress = silent) -> None:
    """Build every program that `up` needs."""
    raise NotImplementedError

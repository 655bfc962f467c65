"""Whether Docker can be used here."""

import functools
import shutil

from k8s.local import commands
from k8s.node.errors import NodeError

ANSWER_SECONDS = 10


@functools.cache
def answers() -> bool:
    """Whether a Docker engine answers; asked once, for one command uses one builder throughout."""
    if not shutil.which("docker"):
        return False
    try:
        asked = commands.attempt("docker", "info", "--format", "{{.ServerVersion}}", timeout=ANSWER_SECONDS)
    except NodeError:
        return False  # an engine that takes longer than that does not answer
    return asked.returncode == 0

"""The one error that users of these commands see."""

from k8s.node.errors import NodeError


class LocalError(NodeError):
    """One sentence: what went wrong, why, and what would be right or which log to read."""

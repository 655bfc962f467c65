"""The one error that users of the node see."""


class NodeError(Exception):
    """One sentence: what went wrong, why, and what would be right or which log to read."""

"""The one error that users of the node see."""

import errno


class NodeError(Exception):
    """One sentence: what went wrong, why, and what would be right or which log to read.

    `details` is what a reader wants to see above that sentence: the end of a log, an object's events.
    """

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details


def sentence(error: OSError) -> str:
    """An operating system's error as a sentence for the user."""
    where = f" (writing {error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}: free some space and run the same command again"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"not allowed{where}: run it as root"
    return f"{error.strerror or error}{where}"

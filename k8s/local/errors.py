"""The one error that users of these commands see."""


class LocalError(Exception):
    """One sentence: what went wrong, why, and what would be right or which log to read."""

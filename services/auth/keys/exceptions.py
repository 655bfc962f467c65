"""What can be wrong with a signing key that somebody names."""

from services.common.exceptions import NotFoundError


class UnknownKeyError(NotFoundError):
    """There is no such key, or not any more."""

    slug = "unknown-key"

    def __init__(self, kid: str) -> None:
        super().__init__(f"There is no signing key {kid}; `keys list` tells which there are")

"""What can go wrong with items, each with its status."""

from uuid import UUID

from services.common.exceptions import BadRequestError, NotFoundError, PreconditionFailedError


class ItemNotFoundError(NotFoundError):
    """There is no such item, or it is somebody else's: the answer must not tell which."""

    title, slug = "Item not found", "item-not-found"

    def __init__(self, item_id: UUID) -> None:
        """Name the item that was asked for."""
        super().__init__(f"There is no item {item_id} for this caller.")


class ItemChangedError(PreconditionFailedError):
    """The item is at another version than If-Match or If-None-Match allow."""

    title, slug = "Item changed", "item-changed"

    def __init__(self) -> None:
        """Say what to do: read again."""
        super().__init__("The item is not at a version that the request accepts; read it again.")


class BadCursorError(BadRequestError):
    """The cursor is not one that this list gave out."""

    title, slug = "Bad cursor", "bad-cursor"

    def __init__(self) -> None:
        """Say what would be right."""
        super().__init__(
            "The cursor is not a next_cursor of this list; use it unchanged, with the same filters and sort."
        )

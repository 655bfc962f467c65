"""What can go wrong with items, each with its status."""

from uuid import UUID

from services.common.exceptions import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    PreconditionFailedError,
    UnprocessableError,
)


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


class BadIdempotencyKeyError(BadRequestError):
    """Idempotency-Key is no key."""

    title, slug = "Bad idempotency key", "bad-idempotency-key"

    def __init__(self) -> None:
        """Say what would be right."""
        super().__init__("Idempotency-Key must be given once, as 1 to 255 printable ASCII characters, such as a UUID.")


class KeyInUseError(ConflictError):
    """A request with this key is being done at this moment."""

    title, slug = "Idempotency key in use", "idempotency-key-in-use"

    def __init__(self) -> None:
        """Say what to do: ask again, the answer will be there."""
        super().__init__(
            "The first request with this Idempotency-Key is not answered yet; send it again.",
            headers={"Retry-After": "1"},
        )


class KeyReusedError(UnprocessableError):
    """This key came with another body before."""

    title, slug = "Idempotency key reused", "idempotency-key-reused"

    def __init__(self) -> None:
        """Say what to do: take a new key."""
        super().__init__("This Idempotency-Key came with another body before; a new request needs a new key.")

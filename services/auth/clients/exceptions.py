"""What can go wrong with clients, each with its status."""

from collections.abc import Iterable

from services.common.exceptions import ConflictError, ForbiddenError, NotFoundError, UnprocessableError


class ClientNotFoundError(NotFoundError):
    """There is no such client."""

    title, slug = "Client not found", "client-not-found"

    def __init__(self) -> None:
        """Without the id, which may be anything."""
        super().__init__("There is no client with this id.")


class ClientExistsError(ConflictError):
    """The id is taken."""

    title, slug = "Client exists", "client-exists"

    def __init__(self, client_id: str) -> None:
        """Name the id."""
        super().__init__(f"There is a client {client_id} already; take another id, or none to be given one.")


class NoSecretError(ConflictError):
    """A public client has no secret that could be changed."""

    title, slug = "Client has no secret", "client-has-no-secret"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("A public client has no secret; register one that has.")


class NotPublicError(ConflictError):
    """The id is that of a client with a secret, which is somebody's own."""

    title, slug = "Client is not public", "client-is-not-public"

    def __init__(self, client_id: str) -> None:
        """Name the id."""
        super().__init__(f"The client {client_id} has a secret, so it is another's; take another id.")


class ImpossibleClientError(UnprocessableError):
    """What the client would be does not fit together."""

    title, slug = "Impossible client", "impossible-client"


class ScopeNotHeldError(ForbiddenError):
    """The client has, or would get, more than the caller has."""

    title, slug = "Scope not held", "scope-not-held"

    def __init__(self, scopes: Iterable[str]) -> None:
        """Name what the caller lacks."""
        super().__init__(f"This client may ask for more than you hold yourself: {' '.join(sorted(scopes))}.")

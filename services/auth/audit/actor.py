"""Who administers."""

from dataclasses import dataclass

from services.auth.audit.record import OPERATOR
from services.auth.scopes import SCOPES


@dataclass(frozen=True, slots=True)
class Actor:
    """A user or a client by their token, through which client, with which scopes."""

    name: str
    scopes: frozenset[str]
    client_id: str | None = None


# whoever has the command line has the database
AN_OPERATOR = Actor(OPERATOR, frozenset(SCOPES))

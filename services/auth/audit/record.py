"""Writing a security event down, in the transaction of what it tells about: both happen, or neither."""

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from services.auth.audit.events import Event
from services.auth.audit.models import INSERT, AuditEntry

USER_AGENT_MAX = 300
OPERATOR = "operator"


class Adding(Protocol):
    """A session of SQLAlchemy's, asynchronous or not: adding is the same in both."""

    def add(self, instance: object) -> None:
        """Have the row inserted with the transaction."""


class Executing(Protocol):
    """A synchronous session of SQLAlchemy's."""

    def execute(self, statement: Any, params: Any) -> object:
        """Run a statement now."""


@dataclass(frozen=True, slots=True)
class Origin:
    """From where somebody acts: the client's address, what it calls itself, and the request's id."""

    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


def record(session: Adding, event: Event, origin: Origin, **facts: Any) -> None:
    """Add one entry, of the facts that `entry` takes."""
    session.add(AuditEntry(**entry(event, origin, **facts)))


def record_now(session: Executing, event: Event, origin: Origin, **facts: Any) -> None:
    """Likewise, inserted at once: for what is written often, at a third of what SQLAlchemy's unit of work costs."""
    session.execute(INSERT, entry(event, origin, **facts))


def entry(
    event: Event,
    origin: Origin,
    *,
    actor: object = None,
    subject: object = None,
    client_id: str | None = None,
    session_id: UUID | None = None,
    **details: Any,
) -> dict[str, Any]:
    """One entry: who (`actor`), to whom or what (`subject`). Details are plain JSON and hold no secret."""
    return {
        "event": event.value,
        "actor": None if actor is None else str(actor),
        "subject": None if subject is None else str(subject),
        "client_id": client_id,
        "session_id": session_id,
        "address": origin.address,
        "user_agent": (origin.user_agent or "")[:USER_AGENT_MAX] or None,
        "request_id": origin.request_id,
        "details": details,
    }

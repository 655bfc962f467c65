"""What goes in and out of the audit log's path."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.auth.audit.events import Event
from services.common.schemas import Limit, Text

WORD_MAX = 300
Word = Annotated[Text, Field(min_length=1, max_length=WORD_MAX)]


class AuditQuery(BaseModel):
    """Which entries to list, from where; the newest come first."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = 20
    # the last entry of the page before: who may read the log may read from anywhere, so it need not be signed
    cursor: Annotated[str | None, Field(pattern="^[1-9][0-9]{0,17}$", description="`next_cursor` of the page")] = None
    event: Event | None = None
    subject: Word | None = None
    actor: Word | None = None
    since: AwareDatetime | None = None


class AuditRead(BaseModel):
    """One entry; `sequence` is null until it is in the chain, seconds after it happened."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    sequence: int | None
    at: datetime
    event: str
    actor: str | None
    subject: str | None
    client_id: str | None
    session_id: UUID | None
    address: str | None
    user_agent: str | None
    request_id: str | None
    details: dict[str, Any]


class AuditPage(BaseModel):
    """One page; `next_cursor` is null on the last."""

    items: list[AuditRead]
    next_cursor: str | None

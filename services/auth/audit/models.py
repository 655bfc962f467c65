"""The audit log: rows are added, sealed into the chain, and at the end of their time removed; never changed."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, LargeBinary, Text, insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from services.common.columns import moment


class AuditEntry(SQLModel, table=True):
    """One security event. `sequence`, `previous_hash` and `hash` are null until it is sealed, seconds later."""

    __tablename__: ClassVar[str] = "audit_entries"
    __table_args__ = (
        CheckConstraint(
            "(sequence IS NULL) = (hash IS NULL) AND (sequence IS NULL) = (previous_hash IS NULL)",
            name="audit_entries_sealed_whole",
        ),
        Index("audit_entries_sequence", "sequence", unique=True),
        Index("audit_entries_unsealed", "id", postgresql_where="sequence IS NULL"),
        Index("audit_entries_by_subject", "subject", "id"),
        Index("audit_entries_by_at", "at"),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, sa_column_args=(Identity(always=True),), primary_key=True)
    at: datetime = moment(now=True)
    event: str = Field(sa_type=Text)
    # who did it: a user's id, a client's id, "operator" (the command line), or nobody known
    actor: str | None = Field(default=None, sa_type=Text)
    # whom or what it was done to: a user's id, a client's id, a key's id, a role's name
    subject: str | None = Field(default=None, sa_type=Text)
    client_id: str | None = Field(default=None, sa_type=Text)
    session_id: UUID | None = None
    address: str | None = Field(default=None, sa_type=Text)
    user_agent: str | None = Field(default=None, sa_type=Text)
    request_id: str | None = Field(default=None, sa_type=Text)
    details: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs={"server_default": "{}"})
    sequence: int | None = Field(default=None, sa_type=BigInteger)
    previous_hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    hash: bytes | None = Field(default=None, sa_type=LargeBinary)


# of the table, not of the class: no object is kept, and nothing is read back
INSERT = insert(AuditEntry.__table__)  # type: ignore[attr-defined]


class AuditCheckpoint(SQLModel, table=True):
    """Where the chain begins after old entries were removed: the last one removed, and a MAC over it."""

    __tablename__: ClassVar[str] = "audit_checkpoints"

    sequence: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    hash: bytes = Field(sa_type=LargeBinary)
    mac: bytes = Field(sa_type=LargeBinary)
    made_at: datetime = moment(now=True)


class Maintenance(SQLModel, table=True):
    """When a regular task last finished, and how much it did."""

    __tablename__: ClassVar[str] = "maintenance"

    task: str = Field(sa_type=Text, primary_key=True)
    finished_at: datetime = moment(now=True)
    done: dict[str, Any] = Field(sa_type=JSONB, sa_column_kwargs={"server_default": "{}"})

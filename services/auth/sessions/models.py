"""Sessions of people in browsers; the cookie's value is stored as its hash."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from services.common.columns import moment


class UserSession(SQLModel, table=True):
    """One sign-in: from when, until when, from where. `id` is the `sid` of tokens; ended ones never come back."""

    __tablename__: ClassVar[str] = "sessions"
    __table_args__ = (
        Index("sessions_token_hash", "token_hash", unique=True),
        Index("sessions_by_user", "user_id", "created_at"),
        Index("sessions_by_expires_at", "expires_at"),
    )

    id: UUID = Field(primary_key=True)
    token_hash: bytes = Field(sa_type=LargeBinary)  # SHA-256 of the cookie's 256 random bits
    user_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("users.id", ondelete="CASCADE"),))
    created_at: datetime = moment(now=True)
    authenticated_at: datetime = moment(now=True)  # `auth_time`: the last time a password was given
    seen_at: datetime = moment(now=True)
    expires_at: datetime = moment()  # absolute
    ended_at: datetime | None = moment(nullable=True)
    methods: list[str] = Field(sa_type=ARRAY(Text))  # `amr` (RFC 8176): pwd, otp
    address: str | None = Field(default=None, sa_type=Text)
    user_agent: str | None = Field(default=None, sa_type=Text)

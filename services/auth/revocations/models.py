"""What was revoked, for as long as a token could still be presented: the truth behind what `state` tells."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Text, func
from sqlmodel import Field, SQLModel

from services.common.columns import moment
from services.common.revocations import KINDS


class Revocation(SQLModel, table=True):
    """Tokens of one user or client issued until `at`; or of one session or grant, or one token, for ever."""

    __tablename__: ClassVar[str] = "revocations"
    __table_args__ = (
        CheckConstraint(f"kind IN ({', '.join(repr(kind) for kind in KINDS)})", name="revocations_kind"),
        Index("revocations_unpublished", "id", postgresql_where="published_at IS NULL"),
        Index("revocations_by_at", "at"),
        Index("revocations_by_target", "target", "kind"),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, sa_column_args=(Identity(always=True),), primary_key=True)
    kind: str = Field(sa_type=Text)
    target: str = Field(sa_type=Text)
    # the wall clock and not the transaction's: taken after the row lock that keeps new tokens from being issued
    at: datetime = moment(now=func.clock_timestamp())
    published_at: datetime | None = moment(nullable=True)

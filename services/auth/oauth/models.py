"""What was granted to clients by people: codes, refresh tokens, consents. Secrets are stored as their hashes."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from services.common.columns import moment


def _user() -> ForeignKey:
    return ForeignKey("users.id", ondelete="CASCADE")


def _client() -> ForeignKey:
    return ForeignKey("clients.id", ondelete="CASCADE")


class Grant(SQLModel, table=True):
    """What one code led to: a family of refresh tokens, of which each replaces the one before (RFC 9700 4.14.2)."""

    __tablename__: ClassVar[str] = "grants"
    __table_args__ = (
        Index("grants_by_user", "user_id", "client_id"),
        Index("grants_by_session", "session_id"),
        Index("grants_by_expires_at", "expires_at"),
    )

    id: UUID = Field(primary_key=True)
    client_id: str = Field(sa_type=Text(collation="C"), sa_column_args=(_client(),))
    user_id: UUID = Field(sa_type=Uuid, sa_column_args=(_user(),))
    session_id: UUID | None = Field(
        default=None, sa_type=Uuid, sa_column_args=(ForeignKey("sessions.id", ondelete="SET NULL"),)
    )
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    authenticated_at: datetime = moment()
    methods: list[str] = Field(sa_type=ARRAY(Text))
    created_at: datetime = moment(now=True)
    expires_at: datetime = moment()  # absolute, however often it is refreshed
    revoked_at: datetime | None = moment(nullable=True)
    revoked_why: str | None = Field(default=None, sa_type=Text)


class AuthorizationCode(SQLModel, table=True):
    """A code (RFC 6749 4.1.2): good once, for a minute. A redeemed one stays a while, so that a replay is noticed."""

    __tablename__: ClassVar[str] = "authorization_codes"
    __table_args__ = (
        Index("authorization_codes_by_expires_at", "expires_at"),
        Index("authorization_codes_by_session", "session_id"),  # asked for each session that is removed
    )

    code_hash: bytes = Field(sa_type=LargeBinary, primary_key=True)
    grant_id: UUID = Field(sa_type=Uuid)  # the grant that redeeming it makes
    client_id: str = Field(sa_type=Text(collation="C"), sa_column_args=(_client(),))
    user_id: UUID = Field(sa_type=Uuid, sa_column_args=(_user(),))
    session_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("sessions.id", ondelete="CASCADE"),))
    redirect_uri: str = Field(sa_type=Text)
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    nonce: str | None = Field(default=None, sa_type=Text)
    code_challenge: str = Field(sa_type=Text)  # S256, always
    authenticated_at: datetime = moment()
    methods: list[str] = Field(sa_type=ARRAY(Text))
    created_at: datetime = moment(now=True)
    expires_at: datetime = moment()
    redeemed_at: datetime | None = moment(nullable=True)

    def get_redirect_uri(self) -> str:
        """To which address it was sent; Authlib asks."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """What it stands for; Authlib asks."""
        return " ".join(self.scopes)


class RefreshToken(SQLModel, table=True):
    """One refresh token of a family. Its successor is derived from it, so that a retry gets the very same."""

    __tablename__: ClassVar[str] = "refresh_tokens"
    __table_args__ = (Index("refresh_tokens_by_grant", "grant_id"),)

    token_hash: bytes = Field(sa_type=LargeBinary, primary_key=True)
    grant_id: UUID = Field(sa_type=Uuid, sa_column_args=(ForeignKey("grants.id", ondelete="CASCADE"),))
    created_at: datetime = moment(now=True)
    expires_at: datetime = moment()  # when it is not used
    used_at: datetime | None = moment(nullable=True)


class Consent(SQLModel, table=True):
    """What a person has allowed a client to ask for."""

    __tablename__: ClassVar[str] = "consents"

    user_id: UUID = Field(sa_type=Uuid, sa_column_args=(_user(),), primary_key=True)
    client_id: str = Field(sa_type=Text(collation="C"), sa_column_args=(_client(),), primary_key=True)
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    granted_at: datetime = moment(now=True)

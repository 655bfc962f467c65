"""People, their roles, second factors, and the codes that are mailed to them."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from services.common.columns import moment

EMAIL_MAX = 254  # RFC 5321 4.5.3.1.3, less the angle brackets
NAME_MAX = 100


def _owned_by_user() -> ForeignKey:
    return ForeignKey("users.id", ondelete="CASCADE")


class User(SQLModel, table=True):
    """One person. `id` is the `sub` of their tokens; `email`, in lower case, is what they sign in with."""

    __tablename__: ClassVar[str] = "users"
    __table_args__ = (
        CheckConstraint(f"char_length(email) BETWEEN 3 AND {EMAIL_MAX}", name="users_email_length"),
        CheckConstraint("email = lower(email)", name="users_email_lower"),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {NAME_MAX}", name="users_name_length"),
        Index("users_email", "email", unique=True),
        Index("users_by_created_at", "created_at", "id"),
    )

    id: UUID = Field(primary_key=True)
    email: str = Field(sa_type=Text(collation="C"))
    name: str = Field(sa_type=Text)
    # when a code that was mailed there came back; null: nobody has shown that the address is theirs
    email_verified_at: datetime | None = moment(nullable=True)
    password_hash: str = Field(sa_type=Text, repr=False)  # Argon2id in the PHC string format
    # a one-time password is good for one sign-in before this moment, and only to choose another
    password_expires_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment(now=True)
    updated_at: datetime = moment(now=True)
    disabled_at: datetime | None = moment(nullable=True)


class Role(SQLModel, table=True):
    """A named set of scopes."""

    __tablename__: ClassVar[str] = "roles"
    __table_args__ = (CheckConstraint("name ~ '^[a-z][a-z0-9-]{0,39}$'", name="roles_name_form"),)

    name: str = Field(sa_type=Text(collation="C"), primary_key=True)
    description: str = Field(sa_type=Text, sa_column_kwargs={"server_default": ""})
    scopes: list[str] = Field(sa_type=ARRAY(Text))


class UserRole(SQLModel, table=True):
    """One role of one user."""

    __tablename__: ClassVar[str] = "user_roles"
    __table_args__ = (Index("user_roles_by_role", "role"),)

    user_id: UUID = Field(sa_type=Uuid, sa_column_args=(_owned_by_user(),), primary_key=True)
    role: str = Field(sa_type=Text(collation="C"), sa_column_args=(ForeignKey("roles.name"),), primary_key=True)


class TotpFactor(SQLModel, table=True):
    """An authenticator app of a user's (RFC 6238); asked for once it is confirmed."""

    __tablename__: ClassVar[str] = "totp_factors"

    user_id: UUID = Field(sa_type=Uuid, sa_column_args=(_owned_by_user(),), primary_key=True)
    secret_sealed: bytes = Field(sa_type=LargeBinary)
    sealed_with: str = Field(sa_type=Text)
    last_step: int | None = Field(default=None, sa_type=BigInteger)  # the time step last used: each is good once
    created_at: datetime = moment(now=True)
    confirmed_at: datetime | None = moment(nullable=True)


class RecoveryCode(SQLModel, table=True):
    """A way in without the authenticator, good once; 80 random bits, so their SHA-256 is enough."""

    __tablename__: ClassVar[str] = "recovery_codes"

    user_id: UUID = Field(sa_type=Uuid, sa_column_args=(_owned_by_user(),), primary_key=True)
    code_hash: bytes = Field(sa_type=LargeBinary, primary_key=True)
    used_at: datetime | None = moment(nullable=True)


class MailedCode(SQLModel, table=True):
    """A code on its way to somebody's mailbox: to finish a sign-up, or to choose a new password.

    For a sign-up it holds the account that comes to be; there is one too where nothing will come of it, so that
    answers for known and unknown addresses are alike.
    """

    __tablename__: ClassVar[str] = "mailed_codes"
    __table_args__ = (
        CheckConstraint("purpose IN ('sign_up', 'reset')", name="mailed_codes_purpose"),
        Index("mailed_codes_by_expires_at", "expires_at"),
    )

    id: UUID = Field(primary_key=True)  # what the form carries; the code itself is in the mail alone
    purpose: str = Field(sa_type=Text)
    email: str = Field(sa_type=Text(collation="C"))
    code_hash: bytes | None = Field(default=None, sa_type=LargeBinary)  # null: a code that nobody has
    name: str | None = Field(default=None, sa_type=Text)
    password_hash: str | None = Field(default=None, sa_type=Text, repr=False)
    attempts: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = moment(now=True)
    expires_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)

"""Signing keys: the public half in the clear, the private half under the key-encryption key."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from services.common.columns import moment


class SigningKey(SQLModel, table=True):
    """One RSA key. It is published, then signs, then retires (still published), and is then removed."""

    __tablename__: ClassVar[str] = "signing_keys"
    __table_args__ = (
        CheckConstraint("state IN ('published', 'signing', 'retiring')", name="signing_keys_state"),
        # at no moment two of them, whatever runs beside each other
        Index("signing_keys_one_signs", "state", unique=True, postgresql_where="state = 'signing'"),
    )

    kid: str = Field(sa_type=Text, primary_key=True)  # RFC 7638 thumbprint
    state: str = Field(sa_type=Text)
    public_jwk: dict[str, Any] = Field(sa_type=JSONB)
    private_sealed: bytes = Field(sa_type=LargeBinary)  # AES-256-GCM: nonce, then ciphertext; the kid is authenticated
    sealed_with: str = Field(sa_type=Text)  # which key-encryption key: the first digits of its hash
    published_at: datetime = moment(now=True)
    signing_at: datetime | None = moment(nullable=True)
    retiring_at: datetime | None = moment(nullable=True)

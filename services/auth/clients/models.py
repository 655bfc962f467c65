"""Applications that may ask for tokens."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from services.common.columns import moment

ID_MAX = 100
NAME_MAX = 100
METHODS = ("client_secret_basic", "client_secret_post", "none")


class Client(SQLModel, table=True):
    """One application. A public one has no secret; PKCE is asked of all."""

    __tablename__: ClassVar[str] = "clients"
    __table_args__ = (
        CheckConstraint(f"char_length(id) BETWEEN 1 AND {ID_MAX}", name="clients_id_length"),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {NAME_MAX}", name="clients_name_length"),
        CheckConstraint(
            f"authentication_method IN ({', '.join(repr(method) for method in METHODS)})", name="clients_method"
        ),
        CheckConstraint("(authentication_method = 'none') = (secret_hash IS NULL)", name="clients_secret"),
    )

    id: str = Field(sa_type=Text(collation="C"), primary_key=True)
    name: str = Field(sa_type=Text)
    secret_hash: bytes | None = Field(default=None, sa_type=LargeBinary)  # SHA-256 of 256 random bits
    authentication_method: str = Field(sa_type=Text)
    redirect_uris: list[str] = Field(sa_type=ARRAY(Text), sa_column_kwargs={"server_default": "{}"})
    post_logout_redirect_uris: list[str] = Field(sa_type=ARRAY(Text), sa_column_kwargs={"server_default": "{}"})
    grant_types: list[str] = Field(sa_type=ARRAY(Text))
    scopes: list[str] = Field(sa_type=ARRAY(Text))  # the most that it may ask for
    first_party: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})  # nobody is asked to consent
    created_at: datetime = moment(now=True)
    disabled_at: datetime | None = moment(nullable=True)

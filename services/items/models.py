"""The table of items, its limits and the indexes that serve each list order."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

OWNER_MAX = 255
NAME_MAX = 200
DESCRIPTION_MAX = 4000
PRICE_MAX = 10**12
TAGS_MAX = 20
TAG_MAX = 50


class Item(SQLModel, table=True):
    """One thing in the catalogue; `version` counts its accepted writes, from 1."""

    __tablename__: ClassVar[str] = "items"
    __table_args__ = (
        CheckConstraint(f"char_length(owner) BETWEEN 1 AND {OWNER_MAX}", name="items_owner_length"),
        CheckConstraint(f"char_length(name) BETWEEN 1 AND {NAME_MAX}", name="items_name_length"),
        CheckConstraint(f"char_length(description) <= {DESCRIPTION_MAX}", name="items_description_length"),
        CheckConstraint(f"price_minor BETWEEN 0 AND {PRICE_MAX}", name="items_price_range"),
        # which codes exist changes with the world, not with the schema: the form is checked here
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="items_currency_form"),
        # a CHECK cannot look at each element: count, no empty one, and all of them together
        CheckConstraint(
            f"cardinality(tags) <= {TAGS_MAX} AND array_position(tags, NULL) IS NULL"
            f" AND array_position(tags, '') IS NULL"
            f" AND char_length(array_to_string(tags, '')) <= {TAGS_MAX * TAG_MAX}",
            name="items_tags_size",
        ),
        CheckConstraint("version >= 1", name="items_version_positive"),
        # one index for each order of a list, of one owner and of everybody; read backwards for `-order`
        Index("items_by_owner_created_at", "owner", "created_at", "id"),
        Index("items_by_owner_name", "owner", "name", "id"),
        Index("items_by_owner_price", "owner", "currency", "price_minor", "id"),
        Index("items_by_created_at", "created_at", "id"),
        Index("items_by_name", "name", "id"),
        Index("items_by_price", "currency", "price_minor", "id"),
        Index("items_by_tag", "tags", postgresql_using="gin"),
    )

    id: UUID = Field(primary_key=True)
    owner: str = Field(sa_type=Text)
    # byte order ("C"): the same on every machine, so cursors survive an upgrade of the server's locales,
    # and a prefix is a range of the index
    name: str = Field(sa_type=Text(collation="C"))
    description: str = Field(sa_type=Text, sa_column_kwargs={"server_default": ""})
    price_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=String(3))
    tags: list[str] = Field(sa_type=ARRAY(Text), sa_column_kwargs={"server_default": "{}"})
    version: int = Field(default=1, sa_type=BigInteger, sa_column_kwargs={"server_default": "1"})
    created_at: datetime = Field(
        default=None,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )
    updated_at: datetime = Field(
        default=None,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )


class KeptAnswer(SQLModel, table=True):
    """The answer to a request with an Idempotency-Key; `id` is a hash of the key and whose it is."""

    __tablename__: ClassVar[str] = "kept_answers"
    __table_args__ = (
        CheckConstraint("octet_length(id) = 32", name="kept_answers_id_length"),
        CheckConstraint("octet_length(fingerprint) = 32", name="kept_answers_fingerprint_length"),
        CheckConstraint("status BETWEEN 200 AND 299", name="kept_answers_status_range"),  # refusals are not kept
        Index("kept_answers_by_created_at", "created_at"),  # the oldest go first
    )

    id: bytes = Field(primary_key=True, sa_type=LargeBinary)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    status: int = Field(sa_type=SmallInteger)
    headers: dict[str, Any] = Field(sa_type=JSONB)
    body: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(
        default=None,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )

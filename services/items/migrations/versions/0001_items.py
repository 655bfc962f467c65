"""The table of items, its limits and the indexes of its lists."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "items",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("tags", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        # numbers and not the constants of the models: a migration says what was done, whatever changes later
        sa.CheckConstraint("char_length(owner) BETWEEN 1 AND 255", name="items_owner_length"),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="items_name_length"),
        sa.CheckConstraint("char_length(description) <= 4000", name="items_description_length"),
        sa.CheckConstraint("price_minor BETWEEN 0 AND 1000000000000", name="items_price_range"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="items_currency_form"),
        sa.CheckConstraint(
            "cardinality(tags) <= 20 AND array_position(tags, NULL) IS NULL"
            " AND array_position(tags, '') IS NULL AND char_length(array_to_string(tags, '')) <= 1000",
            name="items_tags_size",
        ),
        sa.CheckConstraint("version >= 1", name="items_version_positive"),
    )
    op.create_index("items_by_owner_created_at", "items", ["owner", "created_at", "id"])
    op.create_index("items_by_owner_name", "items", ["owner", "name", "id"])
    op.create_index("items_by_owner_price", "items", ["owner", "currency", "price_minor", "id"])
    op.create_index("items_by_created_at", "items", ["created_at", "id"])
    op.create_index("items_by_name", "items", ["name", "id"])
    op.create_index("items_by_price", "items", ["currency", "price_minor", "id"])
    op.create_index("items_by_tag", "items", ["tags"], postgresql_using="gin")

"""The table of answers that are given again to who repeats an Idempotency-Key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_answers",
        sa.Column("id", sa.LargeBinary(), primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", JSONB(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("octet_length(id) = 32", name="kept_answers_id_length"),
        sa.CheckConstraint("octet_length(fingerprint) = 32", name="kept_answers_fingerprint_length"),
        sa.CheckConstraint("status BETWEEN 200 AND 299", name="kept_answers_status_range"),
    )
    op.create_index("kept_answers_by_created_at", "kept_answers", ["created_at"])

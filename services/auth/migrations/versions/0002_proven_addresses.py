"""Since when it is known that an address is its owner's: a code that was mailed there has come back."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # null for all who are there: of those that signed up and those that were made by hand the rows look alike
    op.add_column("users", sa.Column("email_verified_at", sa.DateTime(timezone=True), nullable=True))

"""One migration further, for tests of an upgrade: expand only, so that the version before it works on.

A test image copies this file into `services/items/migrations/versions`; it is no part of the service.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("items", sa.Column("note", sa.Text(), nullable=True))

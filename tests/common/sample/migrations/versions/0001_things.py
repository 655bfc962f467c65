"""The first table."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE things (id int PRIMARY KEY, name text NOT NULL)")
    op.execute("SELECT pg_sleep(0.3)")  # so that two migrators meet

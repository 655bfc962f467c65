"""What alembic runs."""

from sqlalchemy import MetaData

from services.common.migrations import run_env

run_env(MetaData())

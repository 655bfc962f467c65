"""Where alembic begins: the tables of items."""

from sqlmodel import SQLModel

from services.common.migrations import run_env
from services.items import models

assert models.Item.metadata is SQLModel.metadata  # noqa: S101 - importing the models is what fills the metadata
run_env(SQLModel.metadata)

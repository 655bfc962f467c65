"""Whether a service's models and its migrations describe the same tables."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

OPTIONS = {
    "compare_server_default": True,
    "include_name": lambda name, kind, _: (kind, name) != ("table", "schema_history"),
}
CHECKS = text(
    "SELECT conname FROM pg_constraint"
    " WHERE contype = 'c' AND connamespace = 'public'::regnamespace AND conrelid <> 'schema_history'::regclass"
)


def tables(package: str) -> list[Table]:
    """The tables of all models below `package`; other services' models may be known to this process too."""
    models = [model for model in _descendants(SQLModel) if model.__module__.startswith(f"{package}.")]
    return [model.__table__ for model in models if hasattr(model, "__table__")]


async def differences(engine: AsyncEngine, package: str) -> list[object]:
    """What alembic would still change in the database to get to the models; [] when they agree."""
    metadata = MetaData()
    for table in tables(package):
        table.to_metadata(metadata)

    def compare(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts=OPTIONS), metadata))

    async with engine.connect() as connection:
        return await connection.run_sync(compare)


async def checks(engine: AsyncEngine) -> set[str]:
    """The names of the database's check constraints, which alembic does not compare."""
    async with engine.connect() as connection:
        return {str(name) for (name,) in await connection.execute(CHECKS)}


def named_checks(package: str) -> set[str]:
    """The names that the models give their constraints."""
    return {str(c.name) for table in tables(package) for c in table.constraints if c.name}


def _descendants(model: type[SQLModel]) -> list[type[SQLModel]]:
    return [found for child in model.__subclasses__() for found in (child, *_descendants(child))]

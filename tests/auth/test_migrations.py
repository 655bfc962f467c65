"""From an empty database to the head, and the models agree with what is there."""

import asyncpg  # type: ignore[import-untyped]

from services.common.postgres import create_engine
from services.common.settings import MigrationSettings
from tests.support import schema


async def test_models_and_migrations_describe_the_same_tables(migrated_url: str) -> None:
    engine = create_engine(MigrationSettings(database_url=migrated_url))
    try:
        assert await schema.differences(engine, "services.auth") == []
        in_database = await schema.checks(engine)
    finally:
        await engine.dispose()

    assert in_database == schema.named_checks("services.auth")
    assert len(schema.tables("services.auth")) == 17


async def test_it_begins_with_three_roles_of_which_one_administrates(migrated_url: str) -> None:
    connection = await asyncpg.connect(migrated_url)
    try:
        roles = dict(await connection.fetch("SELECT name, scopes FROM roles"))
    finally:
        await connection.close()

    assert roles.keys() == {"viewer", "editor", "admin"}
    assert [name for name, scopes in roles.items() if "users:admin" in scopes] == ["admin"]
    assert roles["viewer"] == ["items:read"]

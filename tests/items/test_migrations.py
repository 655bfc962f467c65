"""From an empty database to the head, and the models agree with what is there."""

import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from services.common.migrations import head, migrate
from services.common.postgres import check_migrated, create_engine
from services.common.settings import MigrationSettings
from services.items import migrations
from tests.support import schema
from tests.support.servers import execute, new_database

PACKAGE = "services.items.migrations"
NEXT = Path(__file__).parent / "next_revision"
GOOD_ROW = {
    "id": f"'{uuid.uuid4()}'",
    "owner": "'alice'",
    "name": "'lamp'",
    "price_minor": "0",
    "currency": "'EUR'",
}


def insert_of(row: dict[str, str]) -> str:
    return f"INSERT INTO items ({', '.join(row)}) VALUES ({', '.join(row.values())})"  # noqa: S608 - our own


async def test_models_and_migrations_describe_the_same_tables(migrated_url: str) -> None:
    engine = create_engine(MigrationSettings(database_url=migrated_url))
    try:
        assert await schema.differences(engine, "services.items") == []
        in_database = await schema.checks(engine)
    finally:
        await engine.dispose()

    assert in_database == schema.named_checks("services.items")
    assert len(in_database) == 10


@pytest.mark.parametrize(
    ("member", "fits", "too_much"),
    [
        ("owner", "repeat('x', 255)", "repeat('x', 256)"),
        ("owner", "'x'", "''"),
        ("name", "repeat('😀', 200)", "repeat('x', 201)"),
        ("name", "' '", "''"),
        ("description", "repeat('😀', 4000)", "repeat('x', 4001)"),
        ("price_minor", "1000000000000", "1000000000001"),
        ("price_minor", "0", "-1"),
        ("currency", "'ABC'", "'abc'"),
        ("currency", "'ABC'", "'AB'"),
        ("tags", "array_fill(repeat('x', 50), ARRAY[20])", "array_fill('x'::text, ARRAY[21])"),
        ("tags", "'{}'", "ARRAY['a', NULL]"),
        ("tags", "ARRAY['a']", "ARRAY['']"),
        ("tags", "ARRAY['a']", "ARRAY[repeat('x', 1001)]"),
        ("version", "1", "0"),
    ],
)
def test_the_table_keeps_the_limits_of_the_schemas(migrated_url: str, member: str, fits: str, too_much: str) -> None:
    def insert(value: str) -> None:
        execute(migrated_url, insert_of(GOOD_ROW | {"id": f"'{uuid.uuid4()}'", member: value}))

    insert(fits)
    with pytest.raises((asyncpg.CheckViolationError, asyncpg.StringDataRightTruncationError)):
        insert(too_much)


@pytest.fixture
def further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The package of migrations as a test image has it: with one file more."""
    name = f"further_{uuid.uuid4().hex[:8]}"
    folder = tmp_path / name
    shutil.copytree(Path(migrations.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(next(NEXT.glob("0003_*.py")), folder / "versions")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


async def test_this_version_stays_ready_beside_a_database_one_migration_further(
    postgres_url: str, further: str
) -> None:
    with new_database(postgres_url, f"further_{uuid.uuid4().hex[:8]}") as url:
        assert await migrate(MigrationSettings(database_url=url), PACKAGE) == 0
        await migrate_further(url, further)


async def migrate_further(url: str, further: str) -> None:
    engine = create_engine(MigrationSettings(database_url=url))
    try:
        assert (head(PACKAGE), head(further)) == ("0002", "0003")
        with pytest.raises(LookupError):
            await check_migrated(engine, "0003")

        assert await migrate(MigrationSettings(database_url=url), further) == 0

        await check_migrated(engine, head(PACKAGE))
        await check_migrated(engine, "0003")
        # and the older version's own Job, run again, finds its head applied
        assert await migrate(MigrationSettings(database_url=url), PACKAGE) == 0
        # its statements work on the newer table
        execute(url, insert_of(GOOD_ROW))
    finally:
        await engine.dispose()

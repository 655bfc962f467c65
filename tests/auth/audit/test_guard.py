"""The database itself refuses what would change the log, to everybody who does not switch that off."""

import asyncpg  # type: ignore[import-untyped]
import pytest

from tests.auth.audit.conftest import AuditLog
from tests.support.databases import execute


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET subject = 'eve' WHERE sequence = 1",
        "UPDATE audit_entries SET subject = 'eve' WHERE sequence IS NULL",
        "UPDATE audit_entries SET details = '{}' WHERE sequence IS NULL",
        "UPDATE audit_entries SET sequence = NULL, hash = NULL, previous_hash = NULL WHERE sequence = 1",
        "UPDATE audit_entries SET hash = previous_hash WHERE sequence = 1",
        "DELETE FROM audit_entries WHERE sequence = 1",
        "DELETE FROM audit_entries WHERE sequence IS NULL",
        "TRUNCATE audit_entries",
    ],
)
async def test_entries_are_neither_changed_nor_removed(log: AuditLog, statement: str) -> None:
    await log.write()
    await log.seal()
    await log.write()
    before = log.rows()

    with pytest.raises(asyncpg.RestrictViolationError):
        execute(log.url, statement)

    assert log.rows() == before


async def test_an_entry_has_its_whole_place_in_the_chain_or_none(log: AuditLog) -> None:
    await log.write()

    with pytest.raises(asyncpg.CheckViolationError):
        execute(log.url, "UPDATE audit_entries SET sequence = 1")

"""The audit log loses what is older than it must be, and its chain holds before, meanwhile and after."""

import json

import pytest

from services.auth.audit.chain import Head
from services.auth.audit.models import AuditCheckpoint
from services.auth.audit.repository import AuditRepository
from services.auth.audit.sealing import ChainSealer
from services.auth.retention import service
from services.auth.retention.commands import add_commands
from services.auth.settings import CommandSettings
from services.common.postgres import SessionMaker
from tests.auth.commands import run_command
from tests.auth.retention.conftest import LONG_AGO, Rows, clean, verify
from tests.support.databases import execute


async def test_old_entries_of_the_log_go_batch_by_batch_and_the_chain_still_verifies(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.auth.audit.service.PRUNE_BATCH", 4)
    sealer = ChainSealer(settings, sessions)
    rows.audit(10, days=401)
    rows.audit(3, days=399)
    await sealer.seal()
    noted = (await verify(settings, sessions)).head
    rows.audit(1, days=402)  # not in the chain yet

    assert (await clean(settings, sessions))["audit_entries"] == 10

    after = await verify(settings, sessions, noted)
    assert (after.broken, after.entries, after.unsealed) == (None, 3, 4)  # 1, and what tells of three batches
    await sealer.seal()
    final = await verify(settings, sessions, noted)
    assert (final.broken, final.entries, final.head.sequence) == (None, 7, 17)
    [pruned] = execute(rows.url, "SELECT details FROM audit_entries WHERE event = 'audit_pruned' ORDER BY id")
    assert [json.loads(row["details"]) for row in pruned] == [
        {"entries": 4, "until": 4},
        {"entries": 4, "until": 8},
        {"entries": 2, "until": 10},
    ]
    assert rows.count("audit_checkpoints") == 1


async def test_a_log_of_which_all_was_removed_goes_on_where_it_ended(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker
) -> None:
    rows.audit(5, days=401)
    await ChainSealer(settings, sessions).seal()
    noted = (await verify(settings, sessions)).head

    await clean(settings, sessions)

    assert (await verify(settings, sessions, noted)).broken is None
    assert (await verify(settings, sessions, Head(5, bytes(32)))).broken is not None
    assert (await verify(settings, sessions, Head(3, bytes(32)))).broken is None  # removed since: nobody can tell
    await ChainSealer(settings, sessions).seal()
    verdict = await verify(settings, sessions, noted)
    assert (verdict.broken, verdict.entries, verdict.head.sequence) == (None, 1, 6)


async def test_of_a_pruned_log_no_further_entry_can_be_taken_away(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker
) -> None:
    rows.audit(5, days=401)
    rows.audit(5, days=1)
    await ChainSealer(settings, sessions).seal()
    await clean(settings, sessions)
    replica = "SET session_replication_role = replica"

    execute(rows.url, replica, "DELETE FROM audit_entries WHERE sequence = 6")
    broken = (await verify(settings, sessions)).broken
    assert broken is not None
    assert (broken.kind, broken.sequence) == ("removed", 6)
    execute(rows.url, replica, "DELETE FROM audit_checkpoints")
    broken = (await verify(settings, sessions)).broken
    assert broken is not None
    assert (broken.kind, broken.sequence) == ("removed", 1)


async def test_what_is_pruned_while_somebody_verifies_is_no_break(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.audit(5, days=401)
    rows.audit(2, days=1)
    await ChainSealer(settings, sessions).seal()
    true_checkpoint = AuditRepository.checkpoint

    async def checkpoint(self: AuditRepository) -> AuditCheckpoint | None:
        found = await true_checkpoint(self)
        monkeypatch.setattr(AuditRepository, "checkpoint", true_checkpoint)
        await clean(settings, sessions)
        return found

    monkeypatch.setattr(AuditRepository, "checkpoint", checkpoint)
    verdict = await verify(settings, sessions)

    assert (verdict.broken, verdict.entries, rows.count("audit_checkpoints")) == (None, 7, 1)


async def test_a_forged_checkpoint_is_not_made_genuine_by_pruning_behind_it(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker
) -> None:
    rows.audit(5, days=401)
    await ChainSealer(settings, sessions).seal()
    forged = "INSERT INTO audit_checkpoints (sequence, hash, mac) SELECT sequence, hash, hash FROM audit_entries"
    gone = "DELETE FROM audit_entries WHERE sequence <= 2"
    execute(rows.url, "SET session_replication_role = replica", f"{forged} WHERE sequence = 2", gone)

    _, broken = await service.clean(settings, sessions)

    assert broken is not None
    assert (broken.kind, broken.sequence) == ("changed", 2)
    assert rows.count("audit_entries") == 3


@pytest.mark.parametrize("place", [3, 5])
async def test_a_broken_chain_is_evidence_and_stays_as_it_is(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker, capsys: pytest.CaptureFixture[str], place: int
) -> None:
    rows.audit(5, days=401)
    await ChainSealer(settings, sessions).seal()
    replica = "SET session_replication_role = replica"
    execute(rows.url, replica, f"UPDATE audit_entries SET subject = 'eve' WHERE sequence = {place}")  # noqa: S608 - ours
    rows.mailed("long ago", LONG_AGO)

    assert await run_command(settings, add_commands, "clean") == 1

    said = capsys.readouterr()
    assert f"The audit log stays as it is, for its chain is broken. changed at {place}: " in said.err
    assert "mailed_codes: 1" in said.out
    assert rows.count("audit_entries") == 5
    assert rows.count("maintenance") == 0

"""`audit verify` and `audit list`, as operators read them."""

import json

import pytest

from services.auth.audit.commands import add_commands
from services.auth.audit.events import Event
from tests.auth.audit.conftest import AuditLog
from tests.auth.commands import run_command


async def test_verify_says_that_the_chain_holds_and_its_head(log: AuditLog, capsys: pytest.CaptureFixture[str]) -> None:
    await log.write(3)
    await log.seal()
    await log.write()

    assert await run_command(log.settings, add_commands, "audit", "verify") == 0

    said = capsys.readouterr().out.splitlines()[-1]
    head = str((await log.verify()).head)
    assert said == f"The chain holds: 3 entries, 1 not sealed yet; head {head}"
    assert await run_command(log.settings, add_commands, "audit", "verify", "--head", head) == 0


async def test_verify_ends_with_1_and_names_the_first_break(log: AuditLog, capsys: pytest.CaptureFixture[str]) -> None:
    await log.write(3)
    await log.seal()
    head = str((await log.verify()).head)
    log.tamper("DELETE FROM audit_entries WHERE sequence = 3")

    assert await run_command(log.settings, add_commands, "audit", "verify", "--head", head) == 1

    assert capsys.readouterr().err == ("The chain is broken. truncated at 3: entries up to 3 were there before.\n")


@pytest.mark.parametrize("head", ["", "12", f"{'0' * 64}:0", f"{'0' * 62}:5", f"{'g' * 64}:5", f"{'0' * 64}:x"])
async def test_a_head_that_is_none_is_refused(log: AuditLog, head: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        await run_command(log.settings, add_commands, "audit", "verify", f"--head={head}")

    assert "64 hexadecimal digits, a colon and a number would be right" in capsys.readouterr().err


async def test_list_prints_the_newest_first_and_is_itself_in_the_log_once(
    log: AuditLog, capsys: pytest.CaptureFixture[str]
) -> None:
    await log.write(3)
    await log.write(event=Event.USER_CREATED)

    words = ("--event", "sign_in_failed", "--limit", "2", "--since", "2026-01-31T12:00:00Z")
    assert await run_command(log.settings, add_commands, "audit", "list", *words) == 0

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["subject"] for line in lines] == ["s2", "s1"]
    assert lines[0]["details"] == {"why": "because", "number": 1.5}
    [read] = log.rows("event = 'audit_read'")
    filters = {"event": "sign_in_failed", "since": "2026-01-31T12:00:00+00:00"}
    assert (read["actor"], json.loads(read["details"])) == ("operator", {"filters": filters, "before": None})


@pytest.mark.parametrize("since", ["yesterday", "2026-01-31T12:00:00"])
async def test_a_time_without_its_zone_is_refused(log: AuditLog, since: str) -> None:
    with pytest.raises(SystemExit):
        await run_command(log.settings, add_commands, "audit", "list", "--since", since)

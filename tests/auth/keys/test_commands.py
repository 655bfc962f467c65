"""What operators and CronJobs run, and what they read of it."""

import secrets

import pytest

from services.auth.keys.commands import add_commands
from services.auth.settings import AuthSettings
from tests.auth.commands import run_command
from tests.auth.conftest import MakeSettings
from tests.auth.keys.conftest import Keys


async def test_rotate_says_what_it_did_and_from_when_the_next_key_signs(
    keys: Keys, settings: AuthSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_command(settings, add_commands, "keys", "rotate") == 0
    [first] = await keys.all()
    assert capsys.readouterr().out == f"{first.kid} signs\n"

    assert await run_command(settings, add_commands, "keys", "rotate") == 0
    assert capsys.readouterr().out == "nothing is due\n"

    assert await run_command(settings, add_commands, "keys", "rotate", "--now") == 0
    _, second = await keys.all()
    published, when = capsys.readouterr().out.splitlines()
    assert published == f"published {second.kid}"
    assert when.startswith(f"{second.kid} signs from ")

    assert await run_command(settings, add_commands, "keys", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[first.kid, "signing"], [second.kid, "published"]]


async def test_revoke_and_rewrap_say_what_they_did(
    keys: Keys, settings: AuthSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    await keys.rotate()
    [stolen] = await keys.all()

    assert await run_command(settings, add_commands, "keys", "revoke", stolen.kid) == 0
    [signing] = await keys.all()
    assert capsys.readouterr().out == f"revoked {stolen.kid}\n{signing.kid} signs\n"

    assert await run_command(settings, add_commands, "keys", "revoke", stolen.kid) == 1
    assert capsys.readouterr().err.startswith(f"There is no signing key {stolen.kid}")

    assert await run_command(settings, add_commands, "keys", "rewrap") == 0
    assert capsys.readouterr().out == "sealed anew: 0 signing keys, 0 authenticators\n"


async def test_a_rewrap_without_the_key_of_before_changes_nothing_and_says_what_it_needs(
    keys: Keys, make_settings: MakeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    await keys.rotate()
    [before] = await keys.all()
    other = make_settings(key_encryption_key=secrets.token_hex(32))

    assert await run_command(other, add_commands, "keys", "rewrap") == 1

    assert "PREVIOUS_KEY_ENCRYPTION_KEY" in capsys.readouterr().err
    assert [key.private_sealed for key in await keys.all()] == [before.private_sealed]

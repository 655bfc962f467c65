"""Without the key-encryption key of its database auth does not start: one sentence says why and what to do."""

import json
import secrets

import pytest

from services.auth.settings import AuthSettings
from tests.auth.conftest import MakeSettings
from tests.auth.keys.conftest import Keys
from tests.auth.processes import environment
from tests.support.processes import service_process

WRONG_SETTINGS, START_FAILED, END_FAILED = 2, 3, 1


def ended(settings: AuthSettings, *arguments: str, **changes: str | None) -> tuple[int, str]:
    """Exit code and log of a process with these variables changed, or (None) left out."""
    env = {name: value for name, value in (environment(settings) | changes).items() if value is not None}
    with service_process("services.auth", env, arguments=arguments or ("serve",), wait_ready=False) as process:
        return process.wait(), process.log


@pytest.mark.parametrize("arguments", [("serve",), ("keys", "list"), ("users", "list")])
def test_without_it_nothing_starts(make_settings: MakeSettings, arguments: tuple[str, ...]) -> None:
    for value in (None, "", "  "):
        code, log = ended(make_settings(), *arguments, KEY_ENCRYPTION_KEY=value)

        assert code == WRONG_SETTINGS
        assert log.startswith("KEY_ENCRYPTION_KEY is not set: ")
        assert "`openssl rand -hex 32`" in log
        assert len(log.splitlines()) == 1


@pytest.mark.parametrize("value", ["short", "00" * 32, "0" * 63, "A" * 44, "!" * 64])
def test_what_is_no_key_is_refused_and_not_repeated(make_settings: MakeSettings, value: str) -> None:
    code, log = ended(make_settings(), KEY_ENCRYPTION_KEY=value)

    assert code == WRONG_SETTINGS
    right = "`openssl rand -hex 32` prints a good one"
    assert log == f"KEY_ENCRYPTION_KEY is not 32 random bytes in hexadecimal or base64; {right}.\n"


async def test_with_that_of_another_database_it_ends_with_the_sentence_and_no_stack(
    keys: Keys, make_settings: MakeSettings
) -> None:
    await keys.rotate()
    wrong = secrets.token_hex(32)
    code, log = ended(make_settings(), KEY_ENCRYPTION_KEY=wrong)
    lines = [json.loads(line) for line in log.splitlines()]

    assert code == START_FAILED
    [refusal] = [line for line in lines if line["event"] == "start_refused"]
    assert "KEY_ENCRYPTION_KEY is " in refusal["reason"]
    assert "PREVIOUS_KEY_ENCRYPTION_KEY and run `python -m services.auth keys rewrap`" in refusal["reason"]
    assert [line["level"] for line in lines].count("error") == 2  # the other one is that it ends
    assert "Traceback" not in log
    assert wrong not in log


async def test_commands_that_open_secrets_end_with_the_sentence_too(keys: Keys, make_settings: MakeSettings) -> None:
    await keys.rotate()
    code, log = ended(make_settings(), "keys", "rewrap", KEY_ENCRYPTION_KEY=secrets.token_hex(32))

    assert code == END_FAILED
    assert "set it as PREVIOUS_KEY_ENCRYPTION_KEY" in log
    assert "Traceback" not in log

"""What operators do with users and roles, and what they read of it."""

import asyncio
import uuid

import pytest

from services.auth.audit.actor import AN_OPERATOR
from services.auth.audit.record import Origin
from services.auth.users.commands import add_commands
from services.auth.users.exceptions import AdministratorExistsError
from services.auth.users.first_administrator import FirstAdministrator
from services.common.postgres import open_session
from tests.auth.commands import run_command
from tests.auth.users.accounts import ANOTHER, ORIGIN, PASSWORD, Accounts, email
from tests.auth.users.office import Office


@pytest.fixture
def nobody_administers(accounts: Accounts) -> None:
    accounts.sql("DELETE FROM user_roles")
    accounts.sql("UPDATE roles SET scopes = ARRAY['users:admin', 'users:read', 'items:read'] WHERE name = 'admin'")


async def run(accounts: Accounts, *words: str) -> int:
    return await run_command(accounts.settings, add_commands, *words)


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """The one-time password among what was printed."""
    said = capsys.readouterr()
    assert said.err == ""
    return said.out.split("one-time password: ")[1].splitlines()[0]


@pytest.mark.usefixtures("nobody_administers")
async def test_the_first_administrator_gets_a_password_that_must_be_changed_and_there_is_no_second(
    accounts: Accounts, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{uuid.uuid4().hex}@slipway.test"

    assert await run(accounts, "users", "first-administrator", address) == 0
    password = printed(capsys)
    assert (await accounts.do("sign_in", address, password, ORIGIN)).must_change_password
    assert await run(accounts, "users", "first-administrator", "other@slipway.test") == 1
    assert capsys.readouterr().err.startswith("There is an administrator")
    done = await accounts.do("choose_password", address, password, ANOTHER, ORIGIN)
    assert await run(accounts, "users", "first-administrator", address) == 1

    assert [row["role"] for row in accounts.sql(f"SELECT * FROM user_roles WHERE user_id = '{done.user.id}'")] == [  # noqa: S608
        "admin"
    ]
    assert accounts.events(done.user.id)[:2] == ["user_created", "one_time_password_made"]
    [entry] = accounts.entries(f"event = 'one_time_password_made' AND subject = '{done.user.id}'")
    assert (entry["actor"], entry["address"]) == ("operator", None)
    assert password not in str(accounts.entries("true"))
    hours = accounts.sql("SELECT 1 FROM users WHERE password_expires_at > now() + interval '25 hours'")
    assert hours == []


@pytest.mark.usefixtures("nobody_administers")
async def test_a_first_password_that_has_run_out_unused_can_be_had_anew(
    accounts: Accounts, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{uuid.uuid4().hex}@slipway.test"
    assert await run(accounts, "users", "first-administrator", address) == 0
    first = printed(capsys)
    accounts.sql(f"UPDATE users SET password_expires_at = now() - interval '1 s' WHERE email = '{address}'")  # noqa: S608

    assert await run(accounts, "users", "first-administrator", address) == 0

    second = printed(capsys)
    assert first != second
    assert (await accounts.do("choose_password", address, second, ANOTHER, ORIGIN)).user.email == address


@pytest.mark.usefixtures("nobody_administers")
async def test_of_two_first_administrators_at_once_one_is_made(accounts: Accounts) -> None:
    start = asyncio.Barrier(2)

    async def make(address: str) -> object:
        async with open_session(accounts.sessions) as session:
            office = FirstAdministrator(session, accounts.settings, AN_OPERATOR, Origin(), wake=lambda: None)
            await start.wait()
            return await office.make(address, accounts.passwords)

    made = await asyncio.gather(*(make(f"{uuid.uuid4().hex}@slipway.test") for _ in range(2)), return_exceptions=True)

    assert sum(isinstance(result, AdministratorExistsError) for result in made) == 1


@pytest.mark.usefixtures("nobody_administers")
async def test_a_role_that_was_stripped_of_everything_administers_again(
    accounts: Accounts, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts.sql("UPDATE roles SET scopes = '{}' WHERE name = 'admin'")

    assert await run(accounts, "users", "first-administrator", f"{uuid.uuid4().hex}@slipway.test") == 0

    assert printed(capsys)
    [row] = accounts.sql("SELECT scopes FROM roles WHERE name = 'admin'")
    assert {"users:admin", "items:admin", "platform:operate"} <= set(row["scopes"])
    assert "openid" not in row["scopes"]


async def test_operators_make_change_and_remove_people(accounts: Accounts, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"{uuid.uuid4().hex}@slipway.test"

    assert await run(accounts, "users", "create", address, "Ada", "--role", "viewer") == 0
    assert (await accounts.do("sign_in", address, printed(capsys), ORIGIN)).must_change_password
    assert await run(accounts, "users", "roles", address, "editor", "viewer") == 0
    assert f"{address}  editor viewer" in capsys.readouterr().out.splitlines()  # beside what the application logs
    assert await run(accounts, "users", "disable", address) == 0
    assert await run(accounts, "users", "list") == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if address in line]
    assert line.split()[1:] == ["disabled", address, "editor", "viewer"]
    assert await run(accounts, "users", "enable", address) == 0
    assert await run(accounts, "users", "delete", address) == 0
    assert await run(accounts, "users", "delete", address) == 1
    assert capsys.readouterr().err == f"There is no user {address}.\n"


async def test_who_has_forgotten_a_password_gets_one_to_choose_another_and_is_signed_out(
    accounts: Accounts, capsys: pytest.CaptureFixture[str]
) -> None:
    user_id = await accounts.person()
    await accounts.start(user_id)

    assert await run(accounts, "users", "one-time-password", email(user_id)) == 0

    password = printed(capsys)
    assert accounts.live(user_id) == ([], 0)
    assert accounts.revoked("user", user_id) == 1
    assert (await accounts.do("sign_in", email(user_id), password, ORIGIN)).must_change_password
    await accounts.do("choose_password", email(user_id), password, PASSWORD, ORIGIN)
    await accounts.start(user_id)
    assert await run(accounts, "users", "sign-out", email(user_id)) == 0
    assert accounts.live(user_id) == ([], 0)


async def test_roles_are_put_listed_and_deleted(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    accounts, name = office.accounts, f"role-{uuid.uuid4().hex[:8]}"
    words = ("--scope", "items:read", "--scope", "items:write")

    assert await run(accounts, "roles", "put", name, *words) == 0
    assert await run(accounts, "roles", "list") == 0
    assert f"{name}  items:read items:write" in capsys.readouterr().out.splitlines()
    assert await run(accounts, "roles", "delete", name) == 0
    assert await run(accounts, "roles", "delete", name) == 1
    for wrong in (("put", "Role"), ("put", "a\n"), ("put", name, "--scope", "openid"), ("put", name, "--scope", "x")):
        with pytest.raises(SystemExit):
            await run(accounts, "roles", *wrong)


async def test_the_last_administrator_stays_for_operators_too(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    last = await office.accounts.person("x" * 9, office.role("users:admin"))
    office.only_administrators(last)

    assert await run(office.accounts, "users", "delete", email(last)) == 1

    assert "users:admin" in capsys.readouterr().err

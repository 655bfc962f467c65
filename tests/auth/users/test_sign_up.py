"""Signing up over a real Postgres and Redis: an account comes to be from a mailbox alone."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import uuid

import pytest
from prometheus_client import CollectorRegistry

from services.auth.users.exceptions import (
    CodeEndedError,
    InvalidEmailError,
    InvalidNameError,
    NoMailError,
    SignUpClosedError,
    TooManyAttemptsError,
    WeakPasswordError,
    WrongCodeError,
)
from services.auth.users.mail import NullMailer, Outbox
from tests.auth.conftest import MakeSettings
from tests.auth.users.accounts import ANOTHER, ORIGIN, PASSWORD, Accounts, email


def new_address() -> str:
    return f"{uuid.uuid4().hex}@slipway.test"


async def test_the_code_from_the_mailbox_makes_the_account_with_the_role_that_newcomers_get(
    accounts: Accounts,
) -> None:
    address = new_address()

    code_id = await accounts.do("sign_up", " Ada ", address.upper(), PASSWORD, ORIGIN)
    assert accounts.sql(f"SELECT 1 FROM users WHERE email = '{address}'") == []
    user = await accounts.do("confirm_sign_up", code_id, await accounts.mailbox.code(address), ORIGIN)

    assert (user.name, user.email) == ("Ada", address)
    assert accounts.row(user.id)["email_verified_at"] is not None
    assert [row["role"] for row in accounts.sql(f"SELECT role FROM user_roles WHERE user_id = '{user.id}'")] == [
        "viewer"
    ]
    assert accounts.events(user.id) == ["user_signed_up"]
    assert (await accounts.do("sign_in", address, PASSWORD, ORIGIN)).user.id == user.id


async def test_for_an_address_that_somebody_has_all_is_the_same_but_what_the_mail_says(accounts: Accounts) -> None:
    known, unknown = email(await accounts.person()), new_address()

    seen = []
    for address in (known, unknown):
        before = accounts.hashes()
        async with accounts.statements() as statements:
            code_id = await accounts.do("sign_up", "Eve", address, ANOTHER, ORIGIN)
        mail = await accounts.mailbox.mail(address)
        with pytest.raises(WrongCodeError) as refused:
            await accounts.do("confirm_sign_up", code_id, "00000-00000", ORIGIN)
        seen.append((accounts.hashes() - before, statements, str(refused.value)))
        assert ("code is" in mail.text) == (address == unknown)
        [row] = accounts.sql(f"SELECT code_hash IS NULL AS nobodys FROM mailed_codes WHERE id = '{code_id}'")
        assert row["nobodys"] == (address == known)  # else it could be guessed

    assert seen[0] == seen[1]


async def test_of_two_who_sign_up_with_one_address_the_first_to_type_a_code_gets_it(accounts: Accounts) -> None:
    address = new_address()
    first = await accounts.do("sign_up", "Ada", address, PASSWORD, ORIGIN)
    second = await accounts.do("sign_up", "Eve", address, ANOTHER, ORIGIN)

    user = await accounts.do("confirm_sign_up", second, await accounts.mailbox.code(address, 2), ORIGIN)
    with pytest.raises(CodeEndedError):
        await accounts.do("confirm_sign_up", first, await accounts.mailbox.code(address, 1), ORIGIN)

    assert user.name == "Eve"


async def test_a_code_makes_one_account_and_wrong_ones_use_it_up(accounts: Accounts) -> None:
    address = new_address()
    code_id = await accounts.do("sign_up", "Ada", address, PASSWORD, ORIGIN)
    right = await accounts.mailbox.code(address)

    for _ in range(4):
        with pytest.raises(WrongCodeError):
            await accounts.do("confirm_sign_up", code_id, "00000-00000", ORIGIN)
    with pytest.raises(CodeEndedError):
        await accounts.do("confirm_sign_up", code_id, "00000-00000", ORIGIN)
    with pytest.raises(CodeEndedError):
        await accounts.do("confirm_sign_up", code_id, right, ORIGIN)

    assert accounts.sql(f"SELECT 1 FROM users WHERE email = '{address}'") == []


async def test_no_role_or_one_that_is_gone_makes_an_account_without_any(
    accounts: Accounts, make_settings: MakeSettings
) -> None:
    for role in ("", "gone"):
        address = new_address()
        async with accounts.open(settings=make_settings(sign_up_role=role)) as service:
            code_id = await service.sign_up("Ada", address, PASSWORD, ORIGIN)
            user = await service.confirm_sign_up(code_id, await accounts.mailbox.code(address), ORIGIN)
        assert accounts.sql(f"SELECT role FROM user_roles WHERE user_id = '{user.id}'") == []


async def test_where_sign_up_is_closed_nothing_is_mailed_and_codes_of_before_are_refused(
    accounts: Accounts, make_settings: MakeSettings
) -> None:
    address = new_address()
    code_id = await accounts.do("sign_up", "Ada", address, PASSWORD, ORIGIN)
    code = await accounts.mailbox.code(address)

    async with accounts.open(settings=make_settings(sign_up="closed")) as service:
        assert not service.sign_up_is_open
        with pytest.raises(SignUpClosedError):
            await service.sign_up("Ada", new_address(), PASSWORD, ORIGIN)
        with pytest.raises(SignUpClosedError):
            await service.confirm_sign_up(code_id, code, ORIGIN)


async def test_where_no_mail_leaves_nobody_waits_for_one(accounts: Accounts) -> None:
    outbox = Outbox(NullMailer(), CollectorRegistry())

    async with accounts.open(outbox=outbox) as service:
        assert not service.sign_up_is_open
        with pytest.raises(NoMailError):
            await service.sign_up("Ada", new_address(), PASSWORD, ORIGIN)
        with pytest.raises(NoMailError):
            await service.request_reset(new_address(), ORIGIN)


@pytest.mark.parametrize(
    ("name", "address", "password", "error"),
    [
        ("", "ada@slipway.test", PASSWORD, InvalidNameError),
        ("A" * 101, "ada@slipway.test", PASSWORD, InvalidNameError),
        ("A\u0000da", "ada@slipway.test", PASSWORD, InvalidNameError),
        ("A\ud800da", "ada@slipway.test", PASSWORD, InvalidNameError),
        ("Ada\r\nBcc: eve", "ada@slipway.test", PASSWORD, InvalidNameError),
        ("Ada", "ada", PASSWORD, InvalidEmailError),
        ("Ada", "ada@slipway.test, eve@slipway.test", PASSWORD, InvalidEmailError),
        ("Ada", "ada@slipway.test\r\nBcc: eve@slipway.test", PASSWORD, InvalidEmailError),
        ("Ada", "Ada <ada@slipway.test>", PASSWORD, InvalidEmailError),
        ("Ada", "a" * 65 + "@slipway.test", PASSWORD, InvalidEmailError),
        ("Ada", "ada@" + "slipway." * 40 + "test", PASSWORD, InvalidEmailError),
        ("Ada", "ada@slipway.test", "short", WeakPasswordError),
        ("Ada", "ada.lovelace@slipway.test", "ada.lovelace", WeakPasswordError),
    ],
)
async def test_what_is_no_name_no_address_or_no_password_is_refused_before_a_mail(
    accounts: Accounts, name: str, address: str, password: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        await accounts.do("sign_up", name, address, password, ORIGIN)

    assert password not in str(refused.value)
    assert accounts.mailbox.mails == []


async def test_nobody_can_have_a_mailbox_flooded(accounts: Accounts, make_settings: MakeSettings) -> None:
    address = new_address()

    for _ in range(make_settings().mails_per_recipient):
        await accounts.do("sign_up", "Ada", address, PASSWORD, ORIGIN)
    with pytest.raises(TooManyAttemptsError):
        await accounts.do("sign_up", "Ada", address, PASSWORD, ORIGIN)

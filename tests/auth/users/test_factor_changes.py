"""Turning the second factor on and off, over a real Postgres and Redis."""

import pytest

from services.auth.users.exceptions import (
    SecondFactorIsOffError,
    SecondFactorIsOnError,
    TooManyAttemptsError,
    WrongCodeError,
    WrongPasswordError,
)
from tests.auth.users.accounts import ANOTHER, ORIGIN, PASSWORD, Accounts, current, email


async def test_it_is_on_once_the_app_has_shown_a_code_and_off_with_the_password(accounts: Accounts) -> None:
    user_id = await accounts.person()
    begun = await accounts.do("begin_totp", user_id)
    assert await accounts.do("pending_totp", user_id) == begun
    assert not await accounts.do("second_factor_is_on", user_id)
    assert "slipway.test" in begun.uri
    assert begun.secret not in repr(begun)

    totp, codes = await accounts.second_factor(user_id)
    assert await accounts.do("second_factor_is_on", user_id)
    assert await accounts.do("pending_totp", user_id) is None
    assert (len(codes), await accounts.do("recovery_codes_left", user_id)) == (10, 10)
    with pytest.raises(SecondFactorIsOnError):
        await accounts.do("begin_totp", user_id)
    with pytest.raises(WrongPasswordError):
        await accounts.do("remove_totp", user_id, ANOTHER, ORIGIN)

    await accounts.do("remove_totp", user_id, PASSWORD, ORIGIN)

    assert not (await accounts.do("sign_in", email(user_id), PASSWORD, ORIGIN)).needs_second_factor
    with pytest.raises(WrongCodeError):
        await accounts.do("second_factor", user_id, current(totp), ORIGIN)
    assert accounts.events(user_id)[:3] == ["second_factor_added", "sign_in_failed", "second_factor_removed"]
    assert "added to" in (await accounts.mailbox.mail(email(user_id), 1)).text
    assert "removed from" in (await accounts.mailbox.mail(email(user_id), 2)).text


async def test_a_wrong_code_turns_nothing_on_and_changes_nothing(accounts: Accounts) -> None:
    user_id = await accounts.person()
    await accounts.do("begin_totp", user_id)
    before = accounts.row(user_id)

    with pytest.raises(WrongCodeError):
        await accounts.do("confirm_totp", user_id, "000000", ORIGIN)

    assert not await accounts.do("second_factor_is_on", user_id)
    assert accounts.row(user_id) == before


async def test_new_recovery_codes_are_for_who_knows_the_password_and_end_those_of_before(accounts: Accounts) -> None:
    user_id = await accounts.person()
    with pytest.raises(SecondFactorIsOffError):
        await accounts.do("renew_recovery_codes", user_id, PASSWORD, ORIGIN)
    with pytest.raises(SecondFactorIsOffError):
        await accounts.do("remove_totp", user_id, PASSWORD, ORIGIN)
    _, before = await accounts.second_factor(user_id)

    with pytest.raises(WrongPasswordError):
        await accounts.do("renew_recovery_codes", user_id, ANOTHER, ORIGIN)
    after = await accounts.do("renew_recovery_codes", user_id, PASSWORD, ORIGIN)

    with pytest.raises(WrongCodeError):
        await accounts.do("second_factor", user_id, before[0], ORIGIN)
    assert await accounts.do("second_factor", user_id, after[0], ORIGIN)
    assert "recovery_codes_renewed" in accounts.events(user_id)


@pytest.mark.usefixtures("long_minutes")
async def test_codes_are_tried_so_often_a_minute_and_no_oftener(accounts: Accounts) -> None:
    user_id = await accounts.person()
    await accounts.do("begin_totp", user_id)

    for _ in range(accounts.settings.second_factor_per_account):
        with pytest.raises(WrongCodeError):
            await accounts.do("second_factor", user_id, "000000", ORIGIN)
    for method in ("second_factor", "confirm_totp"):
        with pytest.raises(TooManyAttemptsError):
            await accounts.do(method, user_id, "000000", ORIGIN)

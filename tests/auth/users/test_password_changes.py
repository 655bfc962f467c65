"""New passwords over a real Postgres and Redis: what ends with the one before."""

import asyncio
import uuid

import pytest

from services.auth.sessions.exceptions import SignInAgainError
from services.auth.users.exceptions import (
    BadCredentialsError,
    CodeEndedError,
    TooManyAttemptsError,
    UserNotFoundError,
    WeakPasswordError,
    WrongCodeError,
    WrongPasswordError,
)
from tests.auth.users.accounts import ANOTHER, ONE_TIME, ORIGIN, PASSWORD, Accounts, email


async def test_a_change_ends_all_other_sessions_and_everything_that_was_granted(accounts: Accounts) -> None:
    user_id, somebody_else = await accounts.person(), await accounts.person()
    kept, other = (await accounts.start(user_id))[0], (await accounts.start(user_id))[0]
    await accounts.start(somebody_else)

    await accounts.do("change_password", user_id, PASSWORD, ANOTHER, ORIGIN, keep_session=kept)

    assert accounts.live(user_id) == ([kept], 0)
    assert (accounts.revoked("user", user_id), accounts.revoked("session", other)) == (1, 1)
    assert (accounts.revoked("session", kept), accounts.live(somebody_else)[1]) == (0, 2)
    assert accounts.events(user_id)[2:] == ["session_ended", "password_changed"]
    assert accounts.woken == [1]
    assert "was changed" in (await accounts.mailbox.mail(email(user_id))).text
    assert (await accounts.do("sign_in", email(user_id), ANOTHER, ORIGIN)).user.id == user_id
    with pytest.raises(BadCredentialsError):
        await accounts.do("sign_in", email(user_id), PASSWORD, ORIGIN)


async def test_without_the_password_of_now_nothing_changes(accounts: Accounts) -> None:
    user_id = await accounts.person()
    before = accounts.row(user_id)

    with pytest.raises(WrongPasswordError):
        await accounts.do("change_password", user_id, ANOTHER, "nine violet submarines", ORIGIN)

    assert accounts.row(user_id) == before
    assert accounts.woken == []


@pytest.mark.parametrize("new", ["short", "password1", PASSWORD])
async def test_a_weak_password_or_that_of_now_is_refused(accounts: Accounts, new: str) -> None:
    user_id = await accounts.person()

    with pytest.raises(WeakPasswordError):
        await accounts.do("change_password", user_id, PASSWORD, new, ORIGIN)


async def test_of_two_changes_at_once_one_counts_and_the_other_has_to_sign_in_again(accounts: Accounts) -> None:
    user_id = await accounts.person()
    wanted = [ANOTHER, "nine violet submarines"]

    results = await asyncio.gather(
        *(accounts.do("change_password", user_id, PASSWORD, new, ORIGIN) for new in wanted), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["NoneType", "SignInAgainError"]
    won = wanted[results.index(None)]
    assert (await accounts.do("sign_in", email(user_id), won, ORIGIN)).user.id == user_id
    assert accounts.events(user_id).count("password_changed") == 1


async def test_a_one_time_password_is_good_once_and_for_choosing_another_alone(accounts: Accounts) -> None:
    user_id = await accounts.person(ONE_TIME, one_time=True)

    with pytest.raises(WeakPasswordError):
        await accounts.do("choose_password", email(user_id), ONE_TIME, ONE_TIME, ORIGIN)
    with pytest.raises(SignInAgainError):
        await accounts.do("change_password", user_id, ONE_TIME, ANOTHER, ORIGIN)
    done = await accounts.do("choose_password", email(user_id), ONE_TIME, ANOTHER, ORIGIN)

    assert (done.user.id, done.must_change_password, done.needs_second_factor) == (user_id, False, False)
    await accounts.start(user_id)
    with pytest.raises(BadCredentialsError):
        await accounts.do("choose_password", email(user_id), ONE_TIME, "nine violet submarines", ORIGIN)
    assert "password_changed" in accounts.events(user_id)


async def test_a_password_of_ones_own_chooses_nothing_and_is_judged_no_further(accounts: Accounts) -> None:
    user_id, before = await accounts.person(), accounts.hashes()

    for new in (ANOTHER, PASSWORD, "short"):
        with pytest.raises(BadCredentialsError):
            await accounts.do("choose_password", email(user_id), PASSWORD, new, ORIGIN)

    assert accounts.hashes() - before == 3


async def test_of_two_who_use_one_one_time_password_at_once_one_gets_in(accounts: Accounts) -> None:
    user_id = await accounts.person(ONE_TIME, one_time=True)

    results = await asyncio.gather(
        *(
            accounts.do("choose_password", email(user_id), ONE_TIME, new, ORIGIN)
            for new in (ANOTHER, "nine violet submarines")
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(result, BadCredentialsError) for result in results) == 1


async def test_choosing_is_not_for_who_has_a_password_of_their_own_nor_past_a_second_factor(accounts: Accounts) -> None:
    own, other = await accounts.person(), await accounts.person()
    await accounts.second_factor(other)
    accounts.change(other, "password_expires_at = now() + interval '1 hour'")

    with pytest.raises(BadCredentialsError):
        await accounts.do("choose_password", email(own), PASSWORD, ANOTHER, ORIGIN)
    done = await accounts.do("choose_password", email(other), PASSWORD, ANOTHER, ORIGIN)

    assert done.needs_second_factor


async def test_a_one_time_password_that_is_too_old_chooses_nothing(accounts: Accounts) -> None:
    user_id = await accounts.person(ONE_TIME, one_time=True)
    accounts.change(user_id, "password_expires_at = now() - interval '1 second'")

    with pytest.raises(BadCredentialsError):
        await accounts.do("choose_password", email(user_id), ONE_TIME, ANOTHER, ORIGIN)


async def test_a_reset_ends_every_session_and_grant_and_leaves_the_second_factor(accounts: Accounts) -> None:
    user_id = await accounts.person()
    await accounts.second_factor(user_id)
    session_id, _ = await accounts.start(user_id)

    code_id = await accounts.do("request_reset", email(user_id), ORIGIN)
    await accounts.do("reset", code_id, await accounts.mailbox.code(email(user_id), 2), ANOTHER, ORIGIN)

    assert accounts.live(user_id) == ([], 0)
    assert (accounts.revoked("user", user_id), accounts.revoked("session", session_id)) == (1, 1)
    assert accounts.events(user_id)[-3:] == ["password_reset_requested", "session_ended", "password_reset"]
    assert (await accounts.do("sign_in", email(user_id), ANOTHER, ORIGIN)).needs_second_factor


async def test_a_reset_shows_whose_the_address_is_and_no_other_way_to_a_password_does(accounts: Accounts) -> None:
    user_id = await accounts.person()
    await accounts.do("change_password", user_id, PASSWORD, ANOTHER, ORIGIN)
    changed = accounts.row(user_id)["email_verified_at"]
    proven = []
    for number, password in ((2, PASSWORD), (4, ANOTHER)):
        code_id = await accounts.do("request_reset", email(user_id), ORIGIN)
        await accounts.do("reset", code_id, await accounts.mailbox.code(email(user_id), number), password, ORIGIN)
        proven.append(accounts.row(user_id)["email_verified_at"])

    assert changed is None
    assert proven[0] is not None
    assert proven[1] == proven[0]  # since when, not when last


async def test_a_reset_of_an_address_that_nobody_has_looks_and_costs_the_same(accounts: Accounts) -> None:
    user_id, disabled = await accounts.person(), await accounts.person()
    accounts.change(disabled, "disabled_at = now()")
    unknown = f"{uuid.uuid4().hex}@slipway.test"

    seen = []
    for address in (email(user_id), unknown, email(disabled)):
        before = accounts.hashes()
        async with accounts.statements() as statements:
            code_id = await accounts.do("request_reset", address, ORIGIN)
            with pytest.raises(WrongCodeError) as refused:
                await accounts.do("reset", code_id, "00000-00000", ANOTHER, ORIGIN)
        seen.append((accounts.hashes() - before, statements, str(refused.value)))

    assert seen[0] == seen[1] == seen[2]
    await accounts.mailbox.mail(email(user_id))
    assert [accounts.mailbox.to(address) for address in (unknown, email(disabled))] == [[], []]
    assert unknown not in str(accounts.entries("event = 'password_reset_requested'"))


async def test_a_weak_password_does_not_use_a_code_up_and_a_right_one_does(accounts: Accounts) -> None:
    user_id = await accounts.person()
    code_id = await accounts.do("request_reset", email(user_id), ORIGIN)
    code = await accounts.mailbox.code(email(user_id))

    with pytest.raises(WeakPasswordError):
        await accounts.do("reset", code_id, code, "short", ORIGIN)
    await accounts.do("reset", code_id, code, ANOTHER, ORIGIN)
    with pytest.raises(CodeEndedError):
        await accounts.do("reset", code_id, code, PASSWORD, ORIGIN)


async def test_codes_of_a_reset_end_with_any_change_of_the_password(accounts: Accounts) -> None:
    user_id = await accounts.person()
    code_id = await accounts.do("request_reset", email(user_id), ORIGIN)
    code = await accounts.mailbox.code(email(user_id))

    await accounts.do("change_password", user_id, PASSWORD, ANOTHER, ORIGIN)

    with pytest.raises(CodeEndedError):
        await accounts.do("reset", code_id, code, PASSWORD, ORIGIN)


async def test_whoever_was_disabled_meanwhile_gets_no_new_password(accounts: Accounts) -> None:
    user_id = await accounts.person()
    code_id = await accounts.do("request_reset", email(user_id), ORIGIN)
    code = await accounts.mailbox.code(email(user_id))
    accounts.change(user_id, "disabled_at = now()")

    with pytest.raises(CodeEndedError):
        await accounts.do("reset", code_id, code, ANOTHER, ORIGIN)
    with pytest.raises(UserNotFoundError):
        await accounts.do("change_password", user_id, PASSWORD, ANOTHER, ORIGIN)


async def test_a_code_for_a_sign_up_resets_nothing(accounts: Accounts) -> None:
    address = f"{uuid.uuid4().hex}@slipway.test"
    code_id = await accounts.do("sign_up", "Ada", address, PASSWORD, ORIGIN)

    with pytest.raises(CodeEndedError):
        await accounts.do("reset", code_id, await accounts.mailbox.code(address), ANOTHER, ORIGIN)


async def test_resets_are_limited_for_known_and_unknown_addresses_alike(accounts: Accounts) -> None:
    known, unknown = email(await accounts.person()), f"{uuid.uuid4().hex}@slipway.test"

    for address in (known, unknown):
        for _ in range(accounts.settings.mails_per_recipient):
            await accounts.do("request_reset", address, ORIGIN)
        with pytest.raises(TooManyAttemptsError):
            await accounts.do("request_reset", address, ORIGIN)

"""Signing in over a real Postgres and Redis: who gets in, what others learn, what is written down."""

import uuid
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from services.auth.metrics import SIGN_INS, AuthMetrics
from services.auth.sessions.exceptions import SignInAgainError
from services.auth.sessions.service import SessionService
from services.auth.users.exceptions import BadCredentialsError, TooManyAttemptsError, WrongCodeError, WrongPasswordError
from services.auth.users.limits import SignInLimits
from services.auth.users.passwords import PasswordHasher
from services.auth.users.sign_in import SignIn
from services.common.exceptions import UnavailableError
from services.common.postgres import open_session
from tests.auth.conftest import MakeSettings
from tests.auth.users.accounts import ANOTHER, ONE_TIME, ORIGIN, PASSWORD, Accounts, Watched, current, earlier, email


async def sign_in(accounts: Accounts, user_id: uuid.UUID, password: str = PASSWORD) -> SignIn:
    result: SignIn = await accounts.do("sign_in", email(user_id), password, ORIGIN)
    return result


async def test_a_right_password_says_whose_it_is_and_lets_a_session_start(accounts: Accounts) -> None:
    user_id = await accounts.person()

    done = await accounts.do("sign_in", f"  {email(user_id).upper()} ", PASSWORD, ORIGIN)

    assert (done.user.id, done.needs_second_factor, done.must_change_password) == (user_id, False, False)
    async with open_session(accounts.sessions) as session:
        service = SessionService(session, accounts.settings)
        await service.start(user_id, ["pwd"], ORIGIN, as_of=done.user.updated_at)
        await session.commit()
    assert accounts.events(user_id) == ["sign_in_succeeded"]
    assert "$argon2" not in repr(done)


@pytest.mark.parametrize("wrong", ["password", "unknown", "disabled", "expired"])
async def test_whoever_does_not_get_in_learns_nothing_and_costs_the_same(accounts: Accounts, wrong: str) -> None:
    """The sentence, the hashes and the statements are those of a wrong password."""
    reference, user_id = await accounts.person(), await accounts.person()
    if wrong == "disabled":
        accounts.change(user_id, "disabled_at = now()")
    if wrong == "expired":
        accounts.change(user_id, "password_expires_at = now() - interval '1 second'")
    address = "nobody@slipway.test" if wrong == "unknown" else email(user_id)
    password = ANOTHER if wrong == "password" else PASSWORD

    seen = []
    for who, what in ((email(reference), ANOTHER), (address, password)):
        before = accounts.hashes()
        async with accounts.statements() as statements:
            with pytest.raises(BadCredentialsError) as refused:
                await accounts.do("sign_in", who, what, ORIGIN)
        seen.append((accounts.hashes() - before, statements, str(refused.value), refused.value.headers))

    assert seen[0] == seen[1]
    assert seen[0][0] == 1


async def test_a_failed_sign_in_is_written_down_without_what_was_typed(accounts: Accounts) -> None:
    user_id = await accounts.person()
    typed = f"typed-{uuid.uuid4().hex}@slipway.test"

    for who in (typed, email(user_id)):
        with pytest.raises(BadCredentialsError):
            await accounts.do("sign_in", who, "canary-of-a-password", ORIGIN)

    unknown, known = accounts.entries("event = 'sign_in_failed'")[-2:]
    assert (unknown["subject"], unknown["actor"], unknown["details"]) == (None, None, '{"why": "unknown"}')
    assert (known["subject"], known["address"], known["details"]) == (str(user_id), "192.0.2.1", '{"why": "password"}')
    said = accounts.sql("SELECT coalesce(string_agg(a::text, ''), '') AS whole FROM audit_entries a")[0]["whole"]
    assert typed not in said
    assert "canary" not in said


@pytest.mark.parametrize("typed", ["", "\0", "\ud800@slipway.test", "a" * 5000 + "@slipway.test", "ada"])
async def test_what_nobody_can_be_called_is_as_wrong_as_any_other_name(accounts: Accounts, typed: str) -> None:
    before = accounts.hashes()

    with pytest.raises(BadCredentialsError):
        await accounts.do("sign_in", typed, PASSWORD, ORIGIN)

    assert accounts.hashes() - before == 1


async def test_no_connection_is_held_while_a_password_is_at_work(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = await accounts.person()
    pool = accounts.sessions.kw["bind"].pool
    watched = Watched(accounts.passwords._argon2, pool.checkedout)
    monkeypatch.setattr(accounts.passwords, "_argon2", watched)

    await sign_in(accounts, user_id)
    await accounts.do("change_password", user_id, PASSWORD, ANOTHER, ORIGIN)
    code_id = await accounts.do("request_reset", email(user_id), ORIGIN)
    await accounts.do("reset", code_id, await accounts.mailbox.code(email(user_id), 2), PASSWORD, ORIGIN)
    await accounts.do("sign_up", "Eve", f"{uuid.uuid4().hex}@slipway.test", PASSWORD, ORIGIN)

    assert watched.noted == [0, 0, 0, 0, 0]


async def test_a_password_is_hashed_anew_when_the_parameters_have_risen_and_nothing_else_changes(
    accounts: Accounts, make_settings: MakeSettings
) -> None:
    user_id = await accounts.person()
    before = accounts.row(user_id)
    risen = PasswordHasher(make_settings(argon2_memory_kib=9216), CollectorRegistry())

    async with accounts.open(passwords=risen) as service:
        done = await service.sign_in(email(user_id), PASSWORD, ORIGIN)
    risen.close()

    after = accounts.row(user_id)
    assert "m=9216" in after["password_hash"]
    assert dict(after) | {"password_hash": ""} == dict(before) | {"password_hash": ""}
    assert done.user.updated_at == before["updated_at"]
    assert accounts.events(user_id) == []


async def test_a_full_queue_keeps_nobody_out_whose_password_was_right(
    accounts: Accounts, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = await accounts.person()
    risen = PasswordHasher(make_settings(argon2_memory_kib=9216), CollectorRegistry())

    async def full(_: str) -> str:
        raise UnavailableError

    monkeypatch.setattr(risen, "hash", full)
    async with accounts.open(passwords=risen) as service:
        done = await service.sign_in(email(user_id), PASSWORD, ORIGIN)
    risen.close()

    assert done.user.id == user_id


async def test_a_password_that_was_changed_while_another_sign_in_was_hashing_is_not_put_back(
    accounts: Accounts, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = await accounts.person()
    risen = PasswordHasher(make_settings(argon2_memory_kib=9216), CollectorRegistry())
    real = risen.hash

    async def slow(password: str) -> str:
        await accounts.do("change_password", user_id, PASSWORD, ANOTHER, ORIGIN)
        return await real(password)

    monkeypatch.setattr(risen, "hash", slow)
    async with accounts.open(passwords=risen) as service:
        done = await service.sign_in(email(user_id), PASSWORD, ORIGIN)
    risen.close()

    with pytest.raises(BadCredentialsError):
        await sign_in(accounts, user_id)
    async with open_session(accounts.sessions) as session:
        starting = SessionService(session, accounts.settings).start(
            user_id, ["pwd"], ORIGIN, as_of=done.user.updated_at
        )
        with pytest.raises(SignInAgainError):
            await starting


async def test_a_one_time_password_starts_no_session(accounts: Accounts) -> None:
    user_id = await accounts.person(ONE_TIME, one_time=True)

    done = await sign_in(accounts, user_id, ONE_TIME)

    assert done.must_change_password
    async with open_session(accounts.sessions) as session:
        starting = SessionService(session, accounts.settings).start(
            user_id, ["pwd"], ORIGIN, as_of=done.user.updated_at
        )
        with pytest.raises(SignInAgainError):
            await starting


async def test_a_second_factor_is_asked_for_and_each_code_is_good_once(accounts: Accounts) -> None:
    user_id = await accounts.person()
    totp, recovery = await accounts.second_factor(user_id)

    assert (await sign_in(accounts, user_id)).needs_second_factor
    with pytest.raises(WrongCodeError):
        await accounts.do("second_factor", user_id, earlier(totp), ORIGIN)  # used to turn it on
    assert await accounts.do("second_factor", user_id, current(totp), ORIGIN) == ["pwd", "otp", "mfa"]
    assert await accounts.do("second_factor", user_id, recovery[0], ORIGIN) == ["pwd", "otp", "mfa"]
    with pytest.raises(WrongCodeError):
        await accounts.do("second_factor", user_id, recovery[0], ORIGIN)

    assert accounts.events(user_id) == [
        "second_factor_added",
        "second_factor_failed",
        "recovery_code_used",
        "second_factor_failed",
    ]


async def test_a_second_factor_that_is_turned_on_meanwhile_cannot_be_gone_round(accounts: Accounts) -> None:
    user_id = await accounts.person()
    done = await sign_in(accounts, user_id)
    await accounts.second_factor(user_id)

    assert not done.needs_second_factor
    async with open_session(accounts.sessions) as session:
        starting = SessionService(session, accounts.settings).start(
            user_id, ["pwd"], ORIGIN, as_of=done.user.updated_at
        )
        with pytest.raises(SignInAgainError):
            await starting


@pytest.mark.usefixtures("long_minutes")
async def test_a_flood_is_refused_without_a_hash_and_stands_in_the_log_once(
    accounts: Accounts, make_settings: MakeSettings
) -> None:
    user_id = await accounts.person()
    limits = SignInLimits(accounts.redis, make_settings(sign_in_per_account=2), CollectorRegistry())

    async def attempt() -> None:
        async with accounts.open(limits=limits) as service:
            await service.sign_in(email(user_id), ANOTHER, ORIGIN)

    before = accounts.hashes()
    for _ in range(2):
        with pytest.raises(BadCredentialsError):
            await attempt()
    for _ in range(5):
        with pytest.raises(TooManyAttemptsError):
            await attempt()

    assert accounts.hashes() - before == 2
    assert accounts.events(user_id) == ["sign_in_failed", "sign_in_failed", "sign_in_limited"]


async def test_who_is_signed_in_shows_it_anew_with_the_password(accounts: Accounts) -> None:
    user_id = await accounts.person()

    assert (await accounts.do("confirm_password", user_id, PASSWORD, ORIGIN)).id == user_id
    with pytest.raises(WrongPasswordError):
        await accounts.do("confirm_password", user_id, ANOTHER, ORIGIN)

    assert accounts.events(user_id) == ["sign_in_failed"]


@pytest.mark.usefixtures("long_minutes")
async def test_attempts_are_counted_by_what_came_of_them(accounts: Accounts) -> None:
    registry = CollectorRegistry()
    metrics, user_id = AuthMetrics(registry), await accounts.person()

    async with accounts.open(metrics=metrics) as service:
        await service.sign_in(email(user_id), PASSWORD, ORIGIN)
        with pytest.raises(BadCredentialsError):
            await service.sign_in(email(user_id), ANOTHER, ORIGIN)
        with pytest.raises(WrongCodeError):
            await service.second_factor(user_id, "000000", ORIGIN)
        for _ in range(accounts.settings.sign_in_per_account):
            with suppress(BadCredentialsError, TooManyAttemptsError):
                await service.sign_in(email(user_id), ANOTHER, ORIGIN)

    counted = {r: registry.get_sample_value("auth_sign_ins_total", {"result": r}) for r in SIGN_INS}
    assert (counted["signed_in"], counted["wrong_code"], counted["unavailable"]) == (1, 1, 0)
    assert counted["limited"] == 2  # of the two attempts before, each has spent its own
    assert counted["wrong_password"] == accounts.settings.sign_in_per_account - 1


async def test_with_a_one_time_password_nobody_is_signed_in_before_another_is_chosen(accounts: Accounts) -> None:
    registry = CollectorRegistry()
    user_id = await accounts.person(ONE_TIME, one_time=True)

    async with accounts.open(metrics=AuthMetrics(registry)) as service:
        await service.sign_in(email(user_id), ONE_TIME, ORIGIN)
        assert registry.get_sample_value("auth_sign_ins_total", {"result": "signed_in"}) == 0
        await service.choose_password(email(user_id), ONE_TIME, ANOTHER, ORIGIN)

    assert registry.get_sample_value("auth_sign_ins_total", {"result": "signed_in"}) == 1

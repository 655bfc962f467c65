"""Mailed codes over a real Postgres: five attempts, fifteen minutes, once, and nothing told about an address."""
# ruff: noqa: S608 - statements are put together from UUIDs and columns of our own

import uuid
from typing import Any

import pytest

from services.auth.users import crockford
from services.auth.users.codes import ATTEMPTS, MailedCodes, NewCode, Outcome, Purpose, Result
from services.auth.users.factor_repository import CodeRepository
from services.common.postgres import DatabaseSession, SessionMaker
from tests.auth.users.conftest import RUNNERS, race
from tests.support.databases import execute

WRONG = "00000-00000"


def over(session: DatabaseSession) -> MailedCodes:
    return MailedCodes(CodeRepository(session))


async def make(sessions: SessionMaker, *, known: bool = True, purpose: Purpose = "reset", **account: Any) -> NewCode:
    async with sessions() as session:
        new = await over(session).make(purpose, "ada@slipway.test", known=known, **account)
        await session.commit()
        return new


async def check(sessions: SessionMaker, new: NewCode, typed: str, *, purpose: Purpose = "reset") -> Outcome:
    async with sessions() as session:
        outcome = await over(session).check(new.id, purpose, typed)
        await session.commit()
        return outcome


async def results(sessions: SessionMaker, new: NewCode, *typed: str) -> list[Result]:
    return [(await check(sessions, new, code)).result for code in typed]


def row(url: str, new: NewCode, columns: str = "*") -> Any:
    [[found]] = execute(url, f"SELECT {columns} FROM mailed_codes WHERE id = '{new.id}'")
    return found


async def test_a_right_code_gives_what_the_form_was_about_and_is_used_by_it(sessions: SessionMaker) -> None:
    new = await make(sessions, purpose="sign_up", name="Ada", password_hash="a hash")

    outcome = await check(sessions, new, new.code, purpose="sign_up")

    assert outcome.result is Result.RIGHT
    assert outcome.row is not None
    assert (outcome.row.email, outcome.row.name) == ("ada@slipway.test", "Ada")
    assert outcome.row.password_hash == "a hash"
    assert await check(sessions, new, new.code, purpose="sign_up") == Outcome(Result.ENDED)


async def test_the_table_holds_the_hash_of_fifty_random_bits_for_fifteen_minutes(
    sessions: SessionMaker, migrated_url: str
) -> None:
    new = await make(sessions)

    kept = row(migrated_url, new, "code_hash, mailed_codes::text AS all, expires_at - created_at AS lifetime")
    assert kept["code_hash"] == crockford.digest(new.code)
    assert new.code not in kept["all"]
    assert new.code.replace("-", "") not in kept["all"]
    assert abs(kept["lifetime"].total_seconds() - 15 * 60) < 30
    assert len(new.code.replace("-", "")) * 5 == 50
    assert new.code not in repr(new)


async def test_five_attempts_count_when_they_are_wrong_and_the_right_one_then_comes_too_late(
    sessions: SessionMaker, migrated_url: str
) -> None:
    new = await make(sessions)

    typed = [WRONG] * ATTEMPTS + [new.code]
    assert await results(sessions, new, *typed) == [*[Result.WRONG] * (ATTEMPTS - 1), Result.ENDED, Result.ENDED]
    assert row(migrated_url, new)["attempts"] == ATTEMPTS
    assert row(migrated_url, new)["used_at"] is None


async def test_the_fifth_attempt_may_be_the_right_one(sessions: SessionMaker) -> None:
    new = await make(sessions)

    assert await results(sessions, new, *[WRONG] * (ATTEMPTS - 1), new.code) == [*[Result.WRONG] * 4, Result.RIGHT]


async def test_a_code_ends_with_its_time(sessions: SessionMaker, migrated_url: str) -> None:
    new = await make(sessions)

    execute(migrated_url, f"UPDATE mailed_codes SET expires_at = clock_timestamp() WHERE id = '{new.id}'")

    assert await results(sessions, new, new.code) == [Result.ENDED]


async def test_a_code_that_ends_while_a_transaction_is_open_is_ended_in_it(
    sessions: SessionMaker, migrated_url: str
) -> None:
    new = await make(sessions)

    async with sessions() as session:
        await session.connection()
        await over(session).check(uuid.uuid4(), "reset", WRONG)  # its transaction has begun
        execute(migrated_url, f"UPDATE mailed_codes SET expires_at = clock_timestamp() WHERE id = '{new.id}'")
        assert await over(session).check(new.id, "reset", new.code) == Outcome(Result.ENDED)


async def test_a_code_for_one_thing_is_none_for_another(sessions: SessionMaker, migrated_url: str) -> None:
    new = await make(sessions, purpose="sign_up")

    assert await check(sessions, new, new.code, purpose="reset") == Outcome(Result.ENDED)
    assert row(migrated_url, new)["attempts"] == 0
    assert (await check(sessions, new, new.code, purpose="sign_up")).result is Result.RIGHT


async def test_the_code_of_another_form_is_wrong(sessions: SessionMaker) -> None:
    new, other = await make(sessions), await make(sessions)

    assert await results(sessions, new, other.code, new.code) == [Result.WRONG, Result.RIGHT]
    assert await check(sessions, NewCode(uuid.uuid4(), new.code), new.code) == Outcome(Result.ENDED)


async def test_for_an_unknown_address_there_is_a_row_that_nobody_can_use(
    sessions: SessionMaker, migrated_url: str
) -> None:
    new = await make(sessions, known=False)

    typed = [new.code, "", WRONG, "None", new.code, new.code]
    assert await results(sessions, new, *typed) == [*[Result.WRONG] * 4, Result.ENDED, Result.ENDED]
    assert row(migrated_url, new)["used_at"] is None
    assert row(migrated_url, new)["code_hash"] is None


@pytest.mark.parametrize("change", [str.lower, lambda code: f"  {code}\n", lambda code: code.replace("-", "")])
async def test_a_code_is_read_as_it_was_meant(sessions: SessionMaker, change: Any) -> None:
    new = await make(sessions)

    assert await results(sessions, new, change(new.code)) == [Result.RIGHT]


@pytest.mark.parametrize("typed", ["OI1L0-abcde", "oil1oabcde", "0 1 1 1 0 A B C D E", "-o-l-l-i-0-ABCDE"])
def test_letters_that_look_like_digits_are_read_as_these(typed: str) -> None:
    assert crockford.digest(typed) == crockford.digest("01110-ABCDE")


@pytest.mark.parametrize("typed", ["01110-ABCD", "01110-ABCDEE", "01110-ABCDF", "01110-ABCDÈ", "", "V1110-ABCDE"])
def test_nothing_else_is_read_as_it(typed: str) -> None:
    assert crockford.digest(typed) != crockford.digest("01110-ABCDE")


def test_codes_hold_no_letter_that_looks_like_another() -> None:
    made = "".join(crockford.make(100) for _ in range(20))

    assert set(made) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ-")


@pytest.mark.parametrize("typed", ["", "\0", "\ud800", "x" * 100_000, "İ" * 64])
async def test_what_is_no_code_is_wrong_and_no_error(sessions: SessionMaker, typed: str) -> None:
    new = await make(sessions)

    assert await results(sessions, new, typed, new.code) == [Result.WRONG, Result.RIGHT]


async def test_of_eight_who_type_the_right_code_at_once_one_is_let_in(sessions: SessionMaker) -> None:
    new = await make(sessions)

    outcomes = await race(sessions, lambda session: over(session).check(new.id, "reset", new.code))

    assert sorted(outcome.result for outcome in outcomes) == [Result.ENDED] * (RUNNERS - 1) + [Result.RIGHT]


async def test_of_eight_wrong_attempts_at_once_five_are_looked_at(sessions: SessionMaker, migrated_url: str) -> None:
    new = await make(sessions)

    outcomes = await race(sessions, lambda session: over(session).check(new.id, "reset", WRONG))

    assert [outcome.result for outcome in outcomes].count(Result.WRONG) == ATTEMPTS - 1
    assert row(migrated_url, new)["attempts"] == ATTEMPTS
    assert await results(sessions, new, new.code) == [Result.ENDED]


async def test_an_attempt_of_a_transaction_that_failed_leaves_the_code_as_it_was(
    sessions: SessionMaker, migrated_url: str
) -> None:
    new = await make(sessions)

    async with sessions() as session:
        assert (await over(session).check(new.id, "reset", new.code)).result is Result.RIGHT
        await session.rollback()

    assert row(migrated_url, new)["attempts"] == 0
    assert await results(sessions, new, new.code) == [Result.RIGHT]

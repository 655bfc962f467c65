"""Authenticator apps and recovery codes over a real Postgres: each code is good once, whoever is faster."""
# ruff: noqa: S608 - statements are put together from UUIDs of our own

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pyotp
import pytest

from services.auth.sealing import SealedWithAnotherKeyError, Sealer
from services.auth.settings import AuthSettings
from services.auth.users import second_factor as module
from services.auth.users.factor_repository import FactorRepository
from services.auth.users.second_factor import NewTotp, SecondFactor, matching_step, qr_svg
from services.common.postgres import DatabaseSession, SessionMaker
from tests.auth.users.conftest import RUNNERS, race
from tests.support.clock import Clock
from tests.support.databases import execute
from tests.support.waits import until

RFC_SECRET = b"12345678901234567890"  # RFC 6238, appendix B, whose codes have eight digits
SENTENCE = {"account": "ada@slipway.test", "issuer": "Slipway"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What an authenticator's code is judged by, at the beginning of a step."""
    clock = Clock()
    clock.now = 1_800_000_000
    monkeypatch.setattr(module, "time", SimpleNamespace(time=clock))
    return clock


def shown(app: pyotp.TOTP, clock: Clock, steps: int = 0) -> str:
    """What an app shows now, or so many steps later."""
    return app.at(int(clock.now) + 30 * steps)


class Factors:
    """A second factor of which each call is a transaction."""

    def __init__(self, sessions: SessionMaker, sealer: Sealer) -> None:
        self.sessions = sessions
        self.sealer = sealer

    def over(self, session: DatabaseSession) -> SecondFactor:
        return SecondFactor(FactorRepository(session), self.sealer)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[SecondFactor]:
        async with self.sessions() as session:
            yield self.over(session)
            await session.commit()

    async def begin(self, user: uuid.UUID) -> pyotp.TOTP:
        async with self.open() as factor:
            new = await factor.begin(user, **SENTENCE)
        assert new is not None
        return pyotp.TOTP(new.secret)

    async def turn_on(self, user: uuid.UUID, clock: Clock) -> tuple[pyotp.TOTP, list[str]]:
        app = await self.begin(user)
        async with self.open() as factor:
            codes = await factor.confirm(user, shown(app, clock))
        assert codes is not None
        clock.now += 30  # that code is used
        return app, codes

    async def check(self, user: uuid.UUID, code: str) -> str | None:
        async with self.open() as factor:
            return await factor.check(user, code)


@pytest.fixture
def factors(sessions: SessionMaker, settings: AuthSettings) -> Factors:
    return Factors(sessions, Sealer(settings))


@pytest.mark.parametrize(
    ("now", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_rfc_6238(clock: Clock, now: int, code: str) -> None:
    clock.now = now

    assert matching_step(RFC_SECRET, code) == now // 30
    assert matching_step(RFC_SECRET, f"{(int(code) + 1) % 1_000_000:06}") is None


async def test_an_app_counts_once_a_code_of_it_was_typed(factors: Factors, user: uuid.UUID, clock: Clock) -> None:
    app = await factors.begin(user)
    async with factors.open() as factor:
        assert not await factor.is_on(user)
        assert not await factor.check_totp(user, shown(app, clock))
        assert await factor.confirm(user, shown(app, clock, 100)) is None
        assert not await factor.is_on(user)

        codes = await factor.confirm(user, shown(app, clock))

        assert await factor.is_on(user)
    assert codes is not None
    assert len(set(codes)) == 10


async def test_what_the_app_is_given_can_be_shown_again_until_then(
    factors: Factors, user: uuid.UUID, clock: Clock
) -> None:
    async with factors.open() as factor:
        assert await factor.pending(user, **SENTENCE) is None
        new = await factor.begin(user, **SENTENCE)
        assert new is not None
        assert await factor.pending(user, **SENTENCE) == new
        app = pyotp.parse_uri(new.uri)
        assert isinstance(app, pyotp.TOTP)
        assert (app.secret, app.name, app.issuer) == (new.secret, "ada@slipway.test", "Slipway")
        assert await factor.confirm(user, shown(app, clock))

        assert await factor.pending(user, **SENTENCE) is None


async def test_beginning_anew_forgets_what_was_not_confirmed_and_nothing_else(
    factors: Factors, user: uuid.UUID, clock: Clock
) -> None:
    forgotten = await factors.begin(user)
    app, codes = await factors.turn_on(user, clock)
    async with factors.open() as factor:
        assert await factor.begin(user, **SENTENCE) is None

    assert forgotten.secret != app.secret
    assert await factors.check(user, shown(forgotten, clock)) is None
    assert await factors.check(user, shown(app, clock)) == "otp"
    assert await factors.check(user, codes[0]) == "recovery"


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_code_is_good_from_one_step_early_to_one_late(
    factors: Factors, user: uuid.UUID, clock: Clock, steps: int, good: bool
) -> None:
    app, _ = await factors.turn_on(user, clock)
    clock.now += 300 + 29

    assert (await factors.check(user, shown(app, clock, steps)) == "otp") is good


async def test_a_code_is_good_once_and_none_before_it_is_good_after_it(
    factors: Factors, user: uuid.UUID, clock: Clock
) -> None:
    app, _ = await factors.turn_on(user, clock)
    clock.now += 300
    before, now, after = (shown(app, clock, steps) for steps in (-1, 0, 1))

    assert [await factors.check(user, code) for code in (now, now, before, after, after)] == [
        "otp",
        None,
        None,
        "otp",
        None,
    ]


async def test_the_code_that_confirmed_an_app_is_used(factors: Factors, user: uuid.UUID, clock: Clock) -> None:
    app, _ = await factors.turn_on(user, clock)

    assert await factors.check(user, shown(app, clock, -1)) is None


async def test_of_eight_who_type_a_code_at_once_one_is_let_in(factors: Factors, user: uuid.UUID, clock: Clock) -> None:
    app, codes = await factors.turn_on(user, clock)
    typed = shown(app, clock)

    taken = await race(factors.sessions, lambda session: factors.over(session).check(user, typed))
    assert sorted(taken, key=str) == [None] * (RUNNERS - 1) + ["otp"]

    taken = await race(factors.sessions, lambda session: factors.over(session).check(user, codes[0]))
    assert sorted(taken, key=str) == [None] * (RUNNERS - 1) + ["recovery"]


async def test_of_eight_who_confirm_at_once_one_gets_recovery_codes_and_these_are_the_ones(
    factors: Factors, user: uuid.UUID, clock: Clock
) -> None:
    app = await factors.begin(user)
    typed = shown(app, clock)

    given = await race(factors.sessions, lambda session: factors.over(session).confirm(user, typed))

    [codes] = [codes for codes in given if codes is not None]
    assert [await factors.check(user, code) for code in codes] == ["recovery"] * 10


async def test_a_code_typed_while_the_app_is_replaced_confirms_nothing(
    factors: Factors, user: uuid.UUID, clock: Clock
) -> None:
    await factors.begin(user)
    async with factors.sessions() as session:
        repository = FactorRepository(session)
        seen = await repository.totp(user)
        assert seen is not None
        await factors.begin(user)

        assert not await repository.take_step(user, seen.secret_sealed, int(clock.now) // 30, confirm=True)


async def test_each_recovery_code_is_good_once_however_it_is_typed(
    factors: Factors, user: uuid.UUID, clock: Clock
) -> None:
    _, codes = await factors.turn_on(user, clock)

    typed = [codes[0], f" {codes[1].lower()} ", codes[2].replace("-", ""), codes[3].replace("1", "l").replace("0", "o")]
    assert [await factors.check(user, code) for code in typed] == ["recovery"] * 4
    assert [await factors.check(user, code) for code in codes[:4]] == [None] * 4
    async with factors.open() as factor:
        assert await factor.recovery_codes_left(user) == 6


async def test_recovery_codes_are_renewed_as_a_whole(factors: Factors, user: uuid.UUID, clock: Clock) -> None:
    _, old = await factors.turn_on(user, clock)
    await factors.check(user, old[0])

    async with factors.open() as factor:
        new = await factor.renew_recovery_codes(user)
        assert await factor.recovery_codes_left(user) == 10

    assert not set(old) & set(new)
    assert [await factors.check(user, code) for code in old] == [None] * 10
    assert await factors.check(user, new[0]) == "recovery"


async def test_of_eight_renewals_at_once_the_codes_of_one_are_good(
    factors: Factors, user: uuid.UUID, clock: Clock
) -> None:
    await factors.turn_on(user, clock)

    renewed = await race(factors.sessions, lambda session: factors.over(session).renew_recovery_codes(user))

    async with factors.open() as factor:
        assert await factor.recovery_codes_left(user) == 10
    good = [[await factors.check(user, code) for code in codes] for codes in renewed]
    assert sorted(good, key=str) == [["recovery"] * 10] + [[None] * 10] * (RUNNERS - 1)


async def test_a_code_of_another_person_is_nobodys(
    factors: Factors, user: uuid.UUID, clock: Clock, migrated_url: str
) -> None:
    app, codes = await factors.turn_on(user, clock)
    other = uuid.uuid4()
    row = f"('{other}', '{other}@slipway.test', 'Bob', 'none')"
    execute(migrated_url, f"INSERT INTO users (id, email, name, password_hash) VALUES {row}")
    await factors.turn_on(other, clock)

    assert await factors.check(other, shown(app, clock)) is None
    assert await factors.check(other, codes[0]) is None
    assert await factors.check(uuid.uuid4(), codes[0]) is None
    assert await factors.check(user, codes[0]) == "recovery"


async def test_once_removed_nothing_is_asked_for_and_nothing_is_good(
    factors: Factors, user: uuid.UUID, clock: Clock
) -> None:
    app, codes = await factors.turn_on(user, clock)

    async with factors.open() as factor:
        assert await factor.remove(user)
        assert not await factor.remove(user)
        assert not await factor.is_on(user)
        assert await factor.recovery_codes_left(user) == 0
    assert await factors.check(user, shown(app, clock)) is None
    assert await factors.check(user, codes[0]) is None


async def test_without_an_app_that_was_confirmed_a_recovery_code_is_no_way_in(
    factors: Factors, user: uuid.UUID
) -> None:
    async with factors.open() as factor:
        codes = await factor.renew_recovery_codes(user)
    assert await factors.check(user, codes[0]) is None

    await factors.begin(user)
    assert await factors.check(user, codes[0]) is None


async def test_removing_it_leaves_no_code_of_a_renewal_under_way(
    factors: Factors, user: uuid.UUID, clock: Clock, migrated_url: str
) -> None:
    await factors.turn_on(user, clock)
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    async def remove() -> bool:
        async with factors.open() as factor:
            return await factor.remove(user)

    async with factors.open() as factor:
        await factor.renew_recovery_codes(user)
        removing = asyncio.create_task(remove())
        await until(lambda: execute(migrated_url, waiting)[0], "waiting for the renewal")

    assert await removing
    async with factors.open() as factor:
        assert await factor.recovery_codes_left(user) == 0


async def test_a_secret_opens_for_its_user_alone_and_stands_nowhere_in_the_clear(
    factors: Factors, user: uuid.UUID, clock: Clock, migrated_url: str
) -> None:
    app, codes = await factors.turn_on(user, clock)
    thief = uuid.uuid4()
    row = f"('{thief}', '{thief}@slipway.test', 'Eve', 'none')"
    stolen = f"SELECT '{thief}', secret_sealed, sealed_with, now() FROM totp_factors WHERE user_id = '{user}'"
    execute(
        migrated_url,
        f"INSERT INTO users (id, email, name, password_hash) VALUES {row}",
        f"INSERT INTO totp_factors (user_id, secret_sealed, sealed_with, confirmed_at) {stolen}",
    )

    with pytest.raises(SealedWithAnotherKeyError) as caught:
        await factors.check(thief, shown(app, clock))

    tables = [f"SELECT t::text AS all FROM {table} t" for table in ("totp_factors", "recovery_codes")]
    stored = "".join(row["all"] for rows in execute(migrated_url, *tables) for row in rows) + str(caught.value)
    assert app.byte_secret().hex() not in stored
    assert app.secret not in stored
    assert not [code for code in codes if code in stored or code.replace("-", "").encode().hex() in stored]


@pytest.mark.parametrize(
    "code", ["", " ", "12345", "1234567", "\uff11" * 6, "\u0660" * 6, "\ud800" * 6, "\0", "0" * 100_000]
)
async def test_what_is_no_code_is_wrong_and_no_error(
    factors: Factors, user: uuid.UUID, clock: Clock, code: str
) -> None:
    await factors.turn_on(user, clock)

    assert await factors.check(user, code) is None


async def test_apps_show_their_codes_in_two_groups(factors: Factors, user: uuid.UUID, clock: Clock) -> None:
    app, _ = await factors.turn_on(user, clock)
    code = shown(app, clock)

    assert await factors.check(user, f" {code[:3]}\u00a0{code[3:]} ") == "otp"


def test_the_picture_holds_nothing_that_a_strict_policy_refuses() -> None:
    picture = qr_svg("otpauth://totp/Slipway:ada%40slipway.test?secret=MFQWCYLB&issuer=Slipway")

    elements = list(ET.fromstring(picture).iter())  # noqa: S314 - our own
    assert {element.tag for element in elements} == {
        f"{{http://www.w3.org/2000/svg}}{name}" for name in ("svg", "path")
    }
    assert {name for element in elements for name in element.attrib} <= {"viewBox", "class", "fill", "stroke", "d"}


def test_a_new_secret_is_not_shown_by_accident() -> None:
    assert "hush" not in repr(NewTotp(secret="hush", uri="otpauth://hush"))

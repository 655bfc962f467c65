"""`clean` removes what has ended long ago, and nothing else, whoever else is at work."""
# ruff: noqa: S608 - statements are put together from words of our own

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg  # type: ignore[import-untyped]
import pytest

from services.auth.audit.sealing import ChainSealer
from services.auth.retention import service
from services.auth.retention.commands import add_commands
from services.auth.settings import CommandSettings
from services.common.postgres import SessionMaker
from services.common.revocations import LIFE_SECONDS
from tests.auth.commands import run_command
from tests.auth.retention.conftest import LATELY, LONG_AGO, NOT_YET, TABLES, Rows, clean, verify
from tests.support.databases import execute


async def test_what_has_ended_long_ago_goes_and_what_lives_or_ended_lately_stays(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker
) -> None:
    live = rows.session("live")
    rows.session("ended lately", ended=LATELY)
    rows.session("expired lately", expires=LATELY)
    rows.session("ended long ago", ended=LONG_AGO)
    rows.session("expired long ago", expires=LONG_AGO)
    signed_out = rows.session("outlived by a grant", ended=LONG_AGO)
    with_ended = rows.session("as its grant", ended=LONG_AGO)

    kept = [
        rows.grant("live grant", session=signed_out),
        rows.grant("revoked lately", revoked=LATELY),
        rows.grant("expired lately", expires=LATELY),
    ]
    revoked = rows.grant("revoked long ago", revoked=LONG_AGO, session=with_ended)
    expired = rows.grant("expired long ago", expires=LONG_AGO, session=live)

    rows.token("used long ago", kept[0], expires=LONG_AGO, used=LONG_AGO)
    rows.token("good", kept[0])
    rows.token("of a grant revoked lately", kept[1])
    rows.token("of a revoked grant", revoked)
    rows.token("of an expired grant", expired, used=LONG_AGO)

    for name, at in (("new", NOT_YET), ("lately", LATELY), ("long ago", LONG_AGO)):
        rows.code(name, live, at)
        rows.mailed(name, at)
    # of the longest tokens that may be, whatever today's settings say
    rows.revocation("somebody may have", f"now() - interval '{LIFE_SECONDS - 100} seconds'")
    rows.revocation("nobody can have", f"now() - interval '{LIFE_SECONDS + 10} seconds'")

    done = await clean(settings, sessions)

    assert rows.left("sessions") == {"live", "ended lately", "expired lately", "outlived by a grant"}
    assert rows.left("grants") == {str(grant) for grant in kept}
    assert rows.left("refresh_tokens") == {"used long ago", "good", "of a grant revoked lately"}
    assert rows.left("authorization_codes") == {"new", "lately"}
    assert rows.left("mailed_codes") == {"new", "lately"}
    assert rows.left("revocations") == {"somebody may have"}
    assert (rows.count("users"), rows.count("clients")) == (1, 1)
    counts = {"authorization_codes": 1, "mailed_codes": 1, "refresh_tokens": 2, "grants": 2, "sessions": 3}
    assert done == {**counts, "revocations": 1, "audit_entries": 0}
    assert sum((await clean(settings, sessions)).values()) == 0


async def test_two_at_once_remove_each_row_once_and_both_end_well(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 3)
    many = f"SELECT gen_random_uuid(), 'reset', 'x', {LONG_AGO} FROM generate_series(1, 50)"
    execute(rows.url, f"INSERT INTO mailed_codes (id, purpose, email, expires_at) {many}")
    for number in range(10):
        session = rows.session(f"s{number}", ended=LONG_AGO)
        rows.token(f"t{number}", rows.grant(f"g{number}", revoked=LONG_AGO, session=session))
    rows.audit(30, days=401)
    await ChainSealer(settings, sessions).seal()

    results = await asyncio.gather(*(clean(settings, sessions) for _ in range(3)))

    again = await clean(settings, sessions)  # what one had locked as the other looked
    total = {table: sum(done[table] for done in (*results, again)) for table in again}
    assert {name: count for name, count in total.items() if count} == {
        "mailed_codes": 50,
        "refresh_tokens": 10,
        "grants": 10,
        "sessions": 10,
        "audit_entries": 30,
    }
    assert all(rows.count(table) == 0 for table in TABLES)
    assert (await verify(settings, sessions)).broken is None


@asynccontextmanager
async def held(url: str, locked: str) -> AsyncIterator[None]:
    """What a statement locks is locked for as long as the block lasts."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("BEGIN")
        await connection.execute(locked)
        yield
    finally:
        await connection.close()


async def test_a_row_that_somebody_holds_is_passed_by(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker
) -> None:
    rows.mailed("held", LONG_AGO)
    rows.mailed("free", LONG_AGO)
    async with held(rows.url, "SELECT FROM mailed_codes WHERE email = 'held' FOR UPDATE"):
        done = await clean(settings, sessions)

    assert done["mailed_codes"] == 1
    assert rows.left("mailed_codes") == {"held"}


async def test_a_grant_whose_token_somebody_holds_waits_for_the_next_run_as_well(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker
) -> None:
    grant = rows.grant("held", revoked=LONG_AGO)
    rows.token("held", grant)
    rows.grant("free", revoked=LONG_AGO)
    async with held(rows.url, "SELECT FROM refresh_tokens FOR UPDATE"):
        done = await clean(settings, sessions)

    assert (done["refresh_tokens"], done["grants"]) == (0, 1)
    assert (rows.left("refresh_tokens"), rows.left("grants")) == ({"held"}, {str(grant)})


async def test_the_command_prints_how_much_it_removed(
    rows: Rows, settings: CommandSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    rows.mailed("long ago", LONG_AGO)

    assert await run_command(settings, add_commands, "clean") == 0

    said = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert said == {**dict.fromkeys((*TABLES, "audit_entries"), "0"), "mailed_codes": "1"}

"""Sessions over a real Postgres: what finds one, what ends it, what is left of it in the tables."""
# ruff: noqa: S608 - statements are put together from UUIDs and columns of our own

import hashlib
import uuid
from collections.abc import AsyncGenerator

import pytest
from prometheus_client import CollectorRegistry
from starlette.responses import Response

from services.auth.audit.record import Origin
from services.auth.sessions.cookies import set_cookie
from services.auth.sessions.exceptions import SessionNotFoundError, SignInAgainError
from services.auth.sessions.service import SessionService
from services.auth.settings import AuthSettings
from services.common.postgres import SessionMaker, open_postgres, session_maker
from tests.auth.conftest import MakeSettings
from tests.support.databases import execute

ORIGIN = Origin(address="192.0.2.1", user_agent="tests", request_id="0123456789abcdef")


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    return make_settings()


@pytest.fixture(scope="module")
async def sessions(settings: AuthSettings) -> AsyncGenerator[SessionMaker]:
    async with open_postgres(settings, CollectorRegistry()) as engine:
        yield session_maker(engine)


@pytest.fixture
def user(migrated_url: str) -> uuid.UUID:
    user_id = uuid.uuid4()
    row = f"('{user_id}', '{user_id}@slipway.test', 'Ada', 'none')"
    execute(migrated_url, f"INSERT INTO users (id, email, name, password_hash) VALUES {row}")
    return user_id


async def start(sessions: SessionMaker, settings: AuthSettings, user: uuid.UUID) -> tuple[uuid.UUID, str]:
    async with sessions() as session:
        started, value = await SessionService(session, settings).start(user, ["pwd"], ORIGIN)
        await session.commit()
        return started.id, value


async def is_live(sessions: SessionMaker, settings: AuthSettings, value: str) -> bool:
    async with sessions() as session:
        return await SessionService(session, settings).find(value) is not None


async def test_the_table_holds_the_hash_of_256_random_bits_and_never_the_value(
    sessions: SessionMaker, settings: AuthSettings, user: uuid.UUID, migrated_url: str
) -> None:
    session_id, value = await start(sessions, settings, user)

    [[row]] = execute(migrated_url, f"SELECT token_hash, s::text AS all FROM sessions s WHERE id = '{session_id}'")

    assert len(value) == 43  # 32 bytes in base64url
    assert row["token_hash"] == hashlib.sha256(value.encode()).digest()
    assert value not in row["all"]


def test_the_cookie_is_of_this_host_alone_and_out_of_reach_of_scripts() -> None:
    response = Response()
    set_cookie(response, "value", 60)

    parts = {part.strip().lower() for part in response.headers["set-cookie"].split(";")}
    assert parts == {"__host-session=value", "max-age=60", "path=/", "secure", "httponly", "samesite=lax"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sessions SET ended_at = now() WHERE user_id = '{}'",
        "UPDATE sessions SET expires_at = now() WHERE user_id = '{}'",
        "UPDATE sessions SET seen_at = now() - interval '8 days' WHERE user_id = '{}'",
        "UPDATE users SET disabled_at = now() WHERE id = '{}'",
    ],
)
async def test_ended_old_idle_sessions_and_those_of_disabled_users_are_not_found(
    sessions: SessionMaker, settings: AuthSettings, user: uuid.UUID, migrated_url: str, change: str
) -> None:
    _, value = await start(sessions, settings, user)
    assert await is_live(sessions, settings, value)

    execute(migrated_url, change.format(user))

    assert not await is_live(sessions, settings, value)


@pytest.mark.parametrize("value", ["", "\0", "\ud800", "x" * 100_000])
async def test_a_value_that_is_nobodys_finds_nothing(
    sessions: SessionMaker, settings: AuthSettings, value: str
) -> None:
    assert not await is_live(sessions, settings, value)


async def test_being_seen_is_written_at_most_once_a_minute(
    sessions: SessionMaker, settings: AuthSettings, user: uuid.UUID, migrated_url: str
) -> None:
    session_id, value = await start(sessions, settings, user)
    row = f"FROM sessions WHERE id = '{session_id}'"

    [[first]] = execute(migrated_url, f"SELECT seen_at {row}")
    await is_live(sessions, settings, value)
    [[second]] = execute(migrated_url, f"SELECT seen_at {row}")
    execute(migrated_url, f"UPDATE sessions SET seen_at = now() - interval '61 seconds' WHERE id = '{session_id}'")
    await is_live(sessions, settings, value)
    [[third]] = execute(migrated_url, f"SELECT seen_at {row}")

    assert first == second
    assert third["seen_at"] > second["seen_at"]


async def test_authenticating_again_makes_the_old_value_nobodys(
    sessions: SessionMaker, settings: AuthSettings, user: uuid.UUID
) -> None:
    session_id, old = await start(sessions, settings, user)

    async with sessions() as session:
        renewed, new = await SessionService(session, settings).reauthenticated(session_id, ["pwd", "otp"], ORIGIN)
        await session.commit()

    assert renewed.methods == ["pwd", "otp"]
    assert await is_live(sessions, settings, new)
    assert not await is_live(sessions, settings, old)


async def test_nobody_ends_the_session_of_another(
    sessions: SessionMaker, settings: AuthSettings, user: uuid.UUID
) -> None:
    session_id, value = await start(sessions, settings, user)

    async with sessions() as session:
        with pytest.raises(SessionNotFoundError):
            await SessionService(session, settings).end(session_id, uuid.uuid4(), ORIGIN)
        await session.commit()

    assert await is_live(sessions, settings, value)


async def test_ending_all_but_one_revokes_each_other_by_its_id_and_is_audited_once(
    sessions: SessionMaker, settings: AuthSettings, user: uuid.UUID, migrated_url: str
) -> None:
    kept, kept_value = await start(sessions, settings, user)
    others = [await start(sessions, settings, user) for _ in range(2)]

    async with sessions() as session:
        assert await SessionService(session, settings).end_all(user, ORIGIN, except_id=kept) == 2
        await session.commit()

    assert await is_live(sessions, settings, kept_value)
    assert not any([await is_live(sessions, settings, value) for _, value in others])
    ids = {str(session_id) for session_id, _ in others}
    [revoked] = execute(migrated_url, "SELECT target FROM revocations WHERE kind = 'session'")
    assert ids <= {row["target"] for row in revoked}
    assert str(kept) not in {row["target"] for row in revoked}
    entries = f"SELECT session_id FROM audit_entries WHERE event = 'session_ended' AND subject = '{user}'"
    assert sorted(str(row["session_id"]) for row in execute(migrated_url, entries)[0]) == sorted(ids)


@pytest.mark.parametrize("column", ["disabled_at", "password_expires_at"])
async def test_who_is_disabled_or_has_a_one_time_password_gets_no_session(
    sessions: SessionMaker, settings: AuthSettings, user: uuid.UUID, migrated_url: str, column: str
) -> None:
    execute(migrated_url, f"UPDATE users SET {column} = now() + interval '1 day' WHERE id = '{user}'")

    with pytest.raises(SignInAgainError):
        await start(sessions, settings, user)


async def test_signing_out_leaves_what_was_granted_for_longer_and_ending_all_does_not(
    sessions: SessionMaker, settings: AuthSettings, user: uuid.UUID, migrated_url: str
) -> None:
    session_id, value = await start(sessions, settings, user)
    client = f"('{user}', 'An app', 'none', ARRAY['authorization_code'], ARRAY['openid'])"
    execute(migrated_url, f"INSERT INTO clients (id, name, authentication_method, grant_types, scopes) VALUES {client}")
    columns = "id, client_id, user_id, session_id, scopes, authenticated_at, methods, expires_at"
    for scopes in ("'openid'", "'openid', 'offline_access'"):
        row = f"gen_random_uuid(), '{user}', '{user}', '{session_id}', ARRAY[{scopes}], now(), ARRAY['pwd'], 'infinity'"
        execute(migrated_url, f"INSERT INTO grants ({columns}) VALUES ({row})")
    left = f"SELECT scopes FROM grants WHERE user_id = '{user}' AND revoked_at IS NULL"

    async with sessions() as session:
        await SessionService(session, settings).end(session_id, user, ORIGIN)
        await session.commit()
    [after_one] = execute(migrated_url, left)
    async with sessions() as session:
        await SessionService(session, settings).end_all(user, ORIGIN)
        await session.commit()
    [after_all] = execute(migrated_url, left)

    assert not await is_live(sessions, settings, value)
    assert [row["scopes"] for row in after_one] == [["openid", "offline_access"]]
    assert after_all == []

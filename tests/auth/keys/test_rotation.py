"""What happens to signing keys, when, and that two who do it at once do it once."""

import asyncio
import contextlib

import asyncpg  # type: ignore[import-untyped]
import pytest
from prometheus_client import CollectorRegistry

from services.auth.keys.exceptions import UnknownKeyError
from services.auth.keys.ring import KeyRing
from services.auth.settings import AuthSettings
from services.common.postgres import open_postgres, session_maker
from tests.auth.keys.conftest import Keys
from tests.support.databases import execute


async def test_of_many_first_starts_at_once_one_makes_the_key(keys: Keys, settings: AuthSettings) -> None:
    async with contextlib.AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(open_postgres(settings, CollectorRegistry())) for _ in range(5)]
        rings = [KeyRing(settings, session_maker(engine)) for engine in engines]
        await asyncio.gather(*(ring.refresh() for ring in rings))

    [key] = await keys.all()
    assert key.state == "signing"
    assert all(ring.jwks() == rings[0].jwks() for ring in rings)
    assert keys.events(key.kid) == ["key_published", "key_signing"]


async def test_each_state_follows_the_one_before_when_its_time_has_come(keys: Keys) -> None:
    assert len(await keys.rotate()) == 1
    [first] = await keys.all()

    keys.later(850)
    assert await keys.rotate() == []
    keys.later(60)  # 910: less than a hundred seconds before its end, the next one is published
    assert len(await keys.rotate()) == 1
    assert await keys.states() == ["signing", "published"]

    keys.later(50)
    assert await keys.rotate() == []
    keys.later(60)  # 1020: the next one signs
    assert len(await keys.rotate()) == 2
    assert await keys.states() == ["retiring", "signing"]

    # what it signed is good for 300 s, believed for 30 more, and may have been signed up to 60 s later
    keys.later(340)
    assert await keys.rotate() == []
    keys.later(60)
    assert await keys.rotate() == [f"removed {first.kid}"]
    assert await keys.states() == ["signing"]
    assert keys.events(first.kid) == ["key_published", "key_signing", "key_retired", "key_removed"]


async def test_of_many_rotations_at_once_one_promotes_and_at_no_moment_do_two_or_none_sign(keys: Keys) -> None:
    await keys.rotate()
    keys.later(901)
    await asyncio.gather(*(keys.rotate() for _ in range(8)))
    assert await keys.states() == ["signing", "published"]
    keys.later(101)
    seen, watched, done = set(), asyncio.Event(), asyncio.Event()

    async def watch() -> None:
        connection = await asyncpg.connect(keys.url)
        try:
            while not done.is_set():
                seen.add(await connection.fetchval("SELECT count(*) FROM signing_keys WHERE state = 'signing'"))
                watched.set()
        finally:
            await connection.close()

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(30):
        await watched.wait()
    results = await asyncio.gather(*(keys.rotate() for _ in range(8)))
    done.set()
    await watching

    assert sorted(map(len, results)) == [0] * 7 + [2]
    assert await keys.states() == ["retiring", "signing"]
    assert seen == {1}


async def test_the_database_itself_refuses_a_second_key_that_signs(keys: Keys) -> None:
    await keys.rotate()
    await keys.do(lambda service: service.rotate(publish_now=True))

    with pytest.raises(asyncpg.UniqueViolationError):
        execute(keys.url, "UPDATE signing_keys SET state = 'signing'")


async def test_a_rotation_that_is_asked_for_now_still_publishes_before_it_signs(keys: Keys) -> None:
    await keys.rotate()

    for _ in range(2):  # once published, asking again changes nothing
        await keys.do(lambda service: service.rotate(publish_now=True))
        assert await keys.states() == ["signing", "published"]
    keys.later(101)
    await keys.rotate()

    assert await keys.states() == ["retiring", "signing"]


@pytest.mark.parametrize("with_next", [False, True])
async def test_a_revoked_key_is_gone_at_once_and_another_signs(keys: Keys, *, with_next: bool) -> None:
    await keys.rotate()
    if with_next:
        await keys.do(lambda service: service.rotate(publish_now=True))
    stolen, *others = await keys.all()

    await keys.do(lambda service: service.revoke(stolen.kid))

    [signing] = await keys.all()
    assert signing.state == "signing"
    assert signing.kid != stolen.kid
    assert [signing.kid] == [key.kid for key in others] or not with_next
    assert keys.events(stolen.kid)[-1] == "key_removed"


async def test_a_key_that_nobody_knows_cannot_be_revoked(keys: Keys) -> None:
    await keys.rotate()

    with pytest.raises(UnknownKeyError, match="no signing key nobodys"):
        await keys.do(lambda service: service.revoke("nobodys"))

    assert await keys.states() == ["signing"]

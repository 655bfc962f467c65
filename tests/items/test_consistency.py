"""While a writer reaches Redis no read after an acknowledged write sees an older value; and what breaks that.

Two replicas over one Postgres and one Redis. Readers are paused between the database and their fill by wrapping
the cache's `fill`, writers inside COMMIT by a deferred trigger that waits for a lock. Each scenario is also run
with a planted fault, which it must notice.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import httpx2
import pytest

from services.items import cache as cache_module
from services.items import scripts
from services.items.breaker import Line
from services.items.cache import Found, ItemCache
from services.items.main import create_app
from services.items.schemas import ItemRead
from tests.items.conftest import Caller, MakeSettings, caller_of
from tests.items.waits import until
from tests.support.clients import app_client
from tests.support.servers import execute
from tests.support.tokens import Issuer

SECONDS = 30
COMMIT_LOCK = 424242
WAIT_IN_COMMIT = f"""
CREATE FUNCTION wait_in_commit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared({COMMIT_LOCK}); RETURN NULL; END $$
"""
TRIGGER = """
CREATE CONSTRAINT TRIGGER wait_in_commit AFTER UPDATE OR DELETE ON items
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_in_commit()
"""


@pytest.fixture(scope="module")
async def replicas(
    make_settings: MakeSettings, migrated_url: str
) -> AsyncGenerator[tuple[httpx2.AsyncClient, httpx2.AsyncClient]]:
    """Two processes' worth of the application."""
    execute(migrated_url, WAIT_IN_COMMIT, TRIGGER)
    settings = make_settings()
    async with app_client(create_app(settings)) as one, app_client(create_app(settings)) as two:
        yield one, two


@pytest.fixture
def reader(replicas: tuple[httpx2.AsyncClient, httpx2.AsyncClient], issuer: Issuer) -> Caller:
    return caller_of(replicas[0], issuer)


@pytest.fixture
def writer(replicas: tuple[httpx2.AsyncClient, httpx2.AsyncClient], issuer: Issuer, reader: Caller) -> Caller:
    return caller_of(replicas[1], issuer, reader.subject)


class Gate:
    """Stops the first who comes, until opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def stop_the_first(self) -> None:
        if not self.reached.is_set():
            self.reached.set()
            async with asyncio.timeout(SECONDS):
                await self.opened.wait()


@pytest.fixture
def fill_gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Pauses the first reader between the database and its fill."""
    gate, fill = Gate(), ItemCache.fill

    async def paused_fill(self: ItemCache, found: Found, item: ItemRead) -> None:
        await gate.stop_the_first()
        await fill(self, found, item)

    monkeypatch.setattr(ItemCache, "fill", paused_fill)
    return gate


@asynccontextmanager
async def paused_commits(url: str) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
    """Commits wait while the block lasts; yields what waits until one does."""
    connection = await asyncpg.connect(url, timeout=30)

    async def until_one_waits() -> None:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
        await until(lambda: connection.fetchval(waiting, COMMIT_LOCK))

    try:
        await connection.execute(f"SELECT pg_advisory_lock({COMMIT_LOCK})")
        yield until_one_waits
    finally:
        await connection.close()


async def read_with_a_write_in_its_middle(reader: Caller, writer: Caller, gate: Gate) -> list[str]:
    """What three reads see: one paused before its fill, one after the write, one after the paused fill."""
    item = await writer.create(name="old")
    paused = asyncio.create_task(reader.get(item["id"]))
    async with asyncio.timeout(SECONDS):
        await gate.reached.wait()
    assert (await writer.patch(item["id"], name="new")).status_code == 200
    gate.opened.set()

    answers = [await paused, await reader.get(item["id"]), await reader.get(item["id"])]
    return [answer.json()["name"] for answer in answers]


async def read_during_a_commit(reader: Caller, writer: Caller, url: str) -> list[str]:
    """What reads see: two while the writer commits, two after its write was acknowledged."""
    item = await writer.create(name="old")
    async with paused_commits(url) as until_one_waits:
        write = asyncio.create_task(writer.patch(item["id"], name="new"))
        await until_one_waits()
        during = [await reader.get(item["id"]) for _ in range(2)]
    assert (await write).status_code == 200

    after = [await reader.get(item["id"]) for _ in range(2)]
    return [answer.json()["name"] for answer in (*during, *after)]


async def test_a_reader_paused_before_its_fill_fills_nothing_old(
    reader: Caller, writer: Caller, fill_gate: Gate
) -> None:
    assert await read_with_a_write_in_its_middle(reader, writer, fill_gate) == ["old", "new", "new"]


async def test_the_paused_reader_would_be_noticed_without_the_lease(
    reader: Caller, writer: Caller, fill_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchecked = scripts.FILL.replace("if entry[1] ~= ARGV[1] then return 0 end", "").replace(
        "entry[2]", "(redis.call('TIME')[1] * 1000)"
    )
    use_script(monkeypatch, scripts.FILL, unchecked)

    assert await read_with_a_write_in_its_middle(reader, writer, fill_gate) == ["old", "old", "old"]


async def test_reads_during_a_commit_leave_nothing_old_behind(
    reader: Caller, writer: Caller, migrated_url: str
) -> None:
    assert await read_during_a_commit(reader, writer, migrated_url) == ["old", "old", "new", "new"]


async def test_a_cache_that_forgets_before_the_commit_would_be_noticed(
    reader: Caller, writer: Caller, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def forget_then_commit(self: ItemCache, item_id: UUID) -> AsyncGenerator[None]:
        await self._writers.ask(self._forget, cache_module.key(item_id), "nobody")
        yield

    monkeypatch.setattr(ItemCache, "writing", forget_then_commit)

    assert await read_during_a_commit(reader, writer, migrated_url) == ["old", "old", "old", "old"]


async def test_a_writer_that_dies_after_its_commit_leaves_nothing_old_behind(
    reader: Caller, writer: Caller, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Line.ask

    async def die_before_forgetting(self: Line, script: Any, *args: Any, **options: Any) -> Any:
        if script.script == scripts.FORGET:
            raise asyncio.CancelledError
        return await ask(self, script, *args, **options)

    item = await writer.create(name="old")
    async with paused_commits(migrated_url) as until_one_waits:
        write = asyncio.create_task(writer.patch(item["id"], name="new"))
        await until_one_waits()
        monkeypatch.setattr(Line, "ask", die_before_forgetting)
        assert (await reader.get(item["id"])).json()["name"] == "old"
    await asyncio.gather(write, return_exceptions=True)

    await until(lambda: reader.get(item["id"]), lambda answer: answer.json()["name"] == "new")
    assert (await reader.get(item["id"])).json()["name"] == "new"


async def test_of_many_writers_at_one_version_exactly_one_wins(reader: Caller, writer: Caller) -> None:
    item = await writer.create(name="0")
    winners = []

    for version in range(1, 6):
        tag = {"If-Match": f'"{version}"'}
        callers = [reader, writer] * 6
        answers = await asyncio.gather(
            *(caller.patch(item["id"], tag, name=f"{version} by {n}") for n, caller in enumerate(callers))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 11
        winners.append(next(answer.json() for answer in answers if answer.status_code == 200))
        assert (await reader.get(item["id"])).json() == winners[-1]

    assert [winner["version"] for winner in winners] == [2, 3, 4, 5, 6]


async def test_unconditional_writers_lose_no_version(reader: Caller, writer: Caller) -> None:
    item = await writer.create()

    answers = await asyncio.gather(*(caller.patch(item["id"], price_minor=1) for caller in [reader, writer] * 8))

    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 18))
    assert (await reader.get(item["id"])).json()["version"] == 17


async def storm(reader: Caller, writer: Caller, writes: int) -> list[tuple[int, int]]:
    """Reads and writes at once; each read as (the version acknowledged before it began, the version it saw)."""
    item = await writer.create()
    acknowledged, done, seen = 1, False, []

    async def read(caller: Caller) -> None:
        while not done:
            before = acknowledged
            seen.append((before, (await caller.get(item["id"])).json()["version"]))
            await asyncio.sleep(random.random() / 500)

    readers = [asyncio.create_task(read(caller)) for caller in [reader, writer] * 4]
    try:
        for n in range(writes):
            acknowledged = (await (writer, reader)[n % 2].patch(item["id"], price_minor=n)).json()["version"]
            await asyncio.sleep(random.random() / 200)
    finally:
        done = True
        await asyncio.gather(*readers)
    return seen


async def test_no_read_of_a_storm_is_older_than_the_write_acknowledged_before_it(
    reader: Caller, writer: Caller
) -> None:
    seen = await storm(reader, writer, 40)

    assert len(seen) > 40
    assert [pair for pair in seen if pair[1] < pair[0]] == []


async def test_the_storm_notices_a_cache_that_is_never_told(
    reader: Caller, writer: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def tell_nothing(_: ItemCache, __: UUID) -> AsyncGenerator[None]:
        yield

    monkeypatch.setattr(ItemCache, "writing", tell_nothing)

    assert any(version < before for before, version in await storm(reader, writer, 20))


def use_script(monkeypatch: pytest.MonkeyPatch, instead_of: str, text: str) -> None:
    """Have every cache run another script than one of its own."""
    ask = Line.ask

    async def other(self: Line, script: Any, key: str, *args: Any, **options: Any) -> Any:
        if script.script == instead_of:
            return await script.registered_client.eval(text, 1, key, *args)
        return await ask(self, script, key, *args, **options)

    monkeypatch.setattr(Line, "ask", other)

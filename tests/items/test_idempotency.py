"""A create that is sent again with its Idempotency-Key makes one item and gets one answer, whatever happens between."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx2
import pytest

from services.items.main import create_app
from services.items.repository import FORGOTTEN_AT_ONCE
from tests.items.conftest import GOOD, Caller, MakeCaller, MakeSettings, caller_of
from tests.items.test_api import assert_problem
from tests.items.waits import until
from tests.support.clients import app_client, service_process, until_ready
from tests.support.servers import execute
from tests.support.tokens import Issuer

VARYING = {"date", "x-request-id", "idempotency-replayed"}


def new_key() -> str:
    return str(uuid.uuid4())


async def create(caller: Caller, key: str, **changes: Any) -> httpx2.Response:
    return await caller.ask("POST", json=GOOD | changes, headers={"Idempotency-Key": key})


async def items_of(caller: Caller) -> list[str]:
    return [item["id"] for item in (await caller.list(limit=100)).json()["items"]]


def said(answer: httpx2.Response) -> tuple[int, dict[str, str], bytes]:
    """All of an answer that is the same each time."""
    headers = {name: value for name, value in answer.headers.items() if name not in VARYING}
    return answer.status_code, headers, answer.content


async def test_the_same_request_again_gets_the_very_same_answer(alice: Caller) -> None:
    key = new_key()
    first = await create(alice, key, tags=["a"])
    changed = await alice.patch(first.json()["id"], name="chair")
    again = await create(alice, key, tags=["a"])
    await alice.delete(first.json()["id"])
    once_more = await create(alice, key, tags=["a"])

    assert (first.status_code, changed.status_code) == (201, 200)
    assert said(first) == said(again) == said(once_more)
    assert [answer.headers.get("idempotency-replayed") for answer in (first, again, once_more)] == [
        None,
        "true",
        "true",
    ]
    assert await items_of(alice) == []


async def test_with_a_key_the_answer_is_that_without_one(alice: Caller) -> None:
    plain = await alice.ask("POST", json=GOOD)
    keyed = await create(alice, new_key())

    for answer in (plain, keyed):
        assert answer.headers["location"] == f"/v1/items/{answer.json()['id']}"
        assert (answer.headers["etag"], answer.headers["content-type"]) == ('"1"', "application/json")
    assert plain.headers.keys() == keyed.headers.keys()
    assert list(plain.json()) == list(keyed.json())
    assert (await alice.get(keyed.json()["id"])).content == keyed.content


async def test_another_body_under_the_same_key_is_refused_and_changes_nothing(alice: Caller) -> None:
    key = new_key()
    first = await create(alice, key)

    other = assert_problem(await create(alice, key, name="other"), 422)

    assert other["type"] == "/problems/idempotency-key-reused"
    assert await items_of(alice) == [first.json()["id"]]
    assert said(await create(alice, key)) == said(first)


async def test_a_key_is_one_subjects_by_one_client(caller: MakeCaller) -> None:
    key, subject = new_key(), f"user-{uuid.uuid4().hex[:12]}"
    callers = [caller(subject), caller(), caller(subject, client_id="another")]

    answers = [await create(who, key) for who in callers]

    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["id"] for answer in answers}) == 3


async def test_a_replay_needs_the_scope_of_a_write(caller: MakeCaller) -> None:
    alice, key = caller(), new_key()
    await create(alice, key)

    assert (await create(caller(alice.subject, scope="items:read"), key)).status_code == 403


async def test_what_was_refused_leaves_its_key_free(alice: Caller) -> None:
    key = new_key()
    refused = await create(alice, key, price_minor=-1)
    mended = await create(alice, key)

    assert (refused.status_code, mended.status_code) == (422, 201)
    assert "idempotency-replayed" not in mended.headers


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"a"], 201),
        ([b"~" * 255], 201),
        ([b'"8e03978e-40d5-43dd-bc93-6894a57f9324"'], 201),
        ([b"two words"], 201),
        ([b"~" * 256], 400),
        ([b""], 400),
        ([b"a\tb"], 400),
        ([b"caf\xe9"], 400),
        ([b"a", b"a"], 400),
    ],
)
async def test_a_key_is_1_to_255_printable_ascii_characters(alice: Caller, lines: Sequence[bytes], status: int) -> None:
    headers = [(name.encode(), value.encode()) for name, value in alice.headers.items()]
    headers += [(b"Idempotency-Key", line) for line in lines]
    answer = await alice.client.post("/v1/items", json=GOOD, headers=headers)

    assert answer.status_code == status, answer.text
    if status == 400:
        assert assert_problem(answer, 400)["type"] == "/problems/bad-idempotency-key"


@asynccontextmanager
async def no_new_items(url: str) -> AsyncGenerator[None]:
    """Whoever inserts an item waits until the block ends."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await connection.execute("BEGIN")
        await connection.execute("LOCK TABLE items IN SHARE MODE")
        yield
    finally:
        await connection.close()


async def waits_for_a_lock(url: str) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'items'::regclass"
    found = await asyncio.to_thread(execute, url, waiting)
    return bool(found[0][0][0])


async def test_while_the_first_request_runs_the_second_is_told_to_come_back(
    alice: Caller, bob: Caller, migrated_url: str
) -> None:
    key = new_key()
    async with no_new_items(migrated_url):
        first = asyncio.create_task(create(alice, key))
        await until(lambda: waits_for_a_lock(migrated_url))

        second = await create(alice, key)

        assert assert_problem(second, 409)["type"] == "/problems/idempotency-key-in-use"
        assert second.headers["retry-after"] == "1"
    done, third = await first, await create(alice, key)
    assert (done.status_code, third.headers["idempotency-replayed"]) == (201, "true")
    assert said(done) == said(third)
    assert await items_of(alice) == [done.json()["id"]]
    assert await items_of(bob) == []


@pytest.mark.parametrize("alike", [True, False])
async def test_of_eight_at_once_over_two_replicas_one_makes_the_item(
    make_settings: MakeSettings, issuer: Issuer, alice: Caller, alike: bool
) -> None:
    """Also when each comes with another body under the one key: then nobody gets the answer of another."""
    async with AsyncExitStack() as stack:
        apps = [create_app(make_settings()) for _ in range(2)]
        clients = [await stack.enter_async_context(app_client(app)) for app in apps]
        for app in apps:
            await until_ready(app)
        replicas = [caller_of(client, issuer, alice.subject) for client in clients]
        for _ in range(10):
            key = new_key()
            answers = await asyncio.gather(
                *(
                    create(replica, key, price_minor=1 if alike else number)
                    for replica in replicas
                    for number in range(4)
                )
            )

            made = Counter((answer.status_code, answer.headers.get("idempotency-replayed")) for answer in answers)
            assert made.keys() <= {(201, None), (201, "true"), (409, None)} | (set() if alike else {(422, None)})
            assert made[201, None] == 1
            assert len({answer.content for answer in answers if answer.status_code == 201}) == 1

    assert len(await items_of(alice)) == 10


@pytest.mark.parametrize(("crash", "replayed"), [("after", "true"), ("before", None)])
async def test_after_a_crash_around_the_commit_the_same_request_makes_one_item(
    crash: str, replayed: str | None, make_settings: MakeSettings, issuer: Issuer, alice: Caller
) -> None:
    chosen = make_settings()
    secrets = {"DATABASE_URL": chosen.database_url, "CACHE_URL": chosen.cache_url, "CURSOR_KEY": chosen.cursor_key}
    env = {name: secret.get_secret_value() for name, secret in secrets.items()}
    env |= {"ISSUER": chosen.issuer, "AUDIENCE": chosen.audience, "JWKS_URL": str(chosen.jwks_url)}
    key = new_key()
    with service_process("tests.items.crashing", env | {"CRASH": crash}) as process:
        async with httpx2.AsyncClient(base_url=process.url, timeout=30) as client:
            with pytest.raises(httpx2.TransportError):
                await create(caller_of(client, issuer, alice.subject), key)
        assert process.wait() == -9
    left = await items_of(alice)

    # the lock of a killed process ends with its connection, which the server may not have noticed yet
    again = await until(lambda: create(alice, key), lambda answer: answer.status_code != 409)

    assert (again.status_code, again.headers.get("idempotency-replayed")) == (201, replayed)
    assert left == ([again.json()["id"]] if replayed else [])
    assert await items_of(alice) == [again.json()["id"]]


async def test_after_a_day_a_key_is_new(alice: Caller, migrated_url: str) -> None:
    key = new_key()
    first = await create(alice, key)
    age(migrated_url, "interval '24 hours'")

    again = await create(alice, key, name="chair")

    assert again.status_code == 201
    assert "idempotency-replayed" not in again.headers
    assert said(await create(alice, key, name="chair")) == said(again)
    assert await items_of(alice) == [again.json()["id"], first.json()["id"]]


async def test_just_before_it_is_not(alice: Caller, migrated_url: str) -> None:
    key = new_key()
    first = await create(alice, key)
    age(migrated_url, "interval '23 hours 59 minutes'")

    assert said(await create(alice, key)) == said(first)


async def test_each_new_answer_takes_some_of_the_old_ones_away(alice: Caller, migrated_url: str) -> None:
    execute(migrated_url, "DELETE FROM kept_answers")
    for _ in range(FORGOTTEN_AT_ONCE + 2):
        await create(alice, new_key())
    age(migrated_url, "interval '25 hours'")

    counts = []
    for _ in range(2):
        await create(alice, new_key())
        counts.append(execute(migrated_url, "SELECT count(*) FROM kept_answers")[0][0][0])

    assert counts == [3, 2]


async def test_no_key_and_no_name_is_kept_in_the_clear(alice: Caller, migrated_url: str) -> None:
    key = new_key()
    await create(alice, key)

    kept = execute(migrated_url, "SELECT encode(id, 'escape'), headers::text FROM kept_answers")[0]
    assert kept
    assert not [row for row in kept if key in str(tuple(row)) or alice.subject in str(tuple(row))]


def age(url: str, interval: str) -> None:
    """Let time pass for all answers that are kept."""
    execute(url, f"UPDATE kept_answers SET created_at = created_at - {interval}")  # noqa: S608 - our own

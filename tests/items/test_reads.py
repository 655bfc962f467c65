"""A read from the cache is the one from the database, to the byte, without a session; a refused one leaves no trace."""

import asyncio
import uuid

import httpx2
import pytest

from services.items import dependencies
from services.items.main import create_app
from services.items.models import OWNER_MAX
from tests.items.conftest import Caller, MakeCaller, MakeSettings, caller_of
from tests.items.test_owners import counted_statements
from tests.support.clients import app_client, until_ready
from tests.support.tokens import Issuer

TOLD_EACH_TIME = {"x-request-id", "date"}


def told(answer: httpx2.Response) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name not in TOLD_EACH_TIME}
    return answer.status_code, headers, answer.content


@pytest.fixture
def no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have whatever gets as far as the service fail."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the service was built for what the cache has")

    monkeypatch.setattr(dependencies, "ItemService", fail)


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"If-None-Match": '"1"'},
        {"If-None-Match": "*"},
        {"If-None-Match": '"7"'},
        {"If-Match": '"1"'},
        {"If-Match": '"7"'},
        {"If-Match": '"1"', "If-None-Match": '"1"'},
        {"If-Match": "1"},
        {"If-None-Match": ""},
    ],
    ids=str,
)
async def test_a_hit_is_answered_as_the_miss_before_it(alice: Caller, conditions: dict[str, str]) -> None:
    first, second = (await alice.create(name="same"))["id"], (await alice.create(name="same"))["id"]
    await alice.get(second)

    miss, hit = await alice.get(first, **conditions), await alice.get(second, **conditions)

    if miss.status_code in {200, 304}:
        status, headers, body = told(miss)
        assert (status, headers, len(body)) == (told(hit)[0], told(hit)[1], len(hit.content))
        assert headers.get("content-type") == ("application/json" if status == 200 else None)
    else:
        wanted = {**miss.json(), "request_id": "", "instance": ""}
        assert {**hit.json(), "request_id": "", "instance": ""} == wanted


async def test_the_same_item_is_the_same_bytes_from_the_database_and_from_the_cache(alice: Caller) -> None:
    item = (await alice.create(name="Lämp \u2028 \U0001f4a1 \"'<&>", description="a\tb", tags=["x", "y"]))["id"]

    answers = [told(await alice.get(item)) for _ in range(3)]

    assert answers[0][0] == 200
    assert answers[1] == answers[0] == answers[2]


@pytest.mark.usefixtures("no_service")
async def test_with_no_service_behind_it_a_miss_would_be_noticed(alice: Caller) -> None:
    assert (await alice.get(str(uuid.uuid4()))).status_code == 500


async def test_a_hit_needs_no_service_and_no_statement(alice: Caller, request: pytest.FixtureRequest) -> None:
    item = (await alice.create())["id"]
    await alice.get(item)
    request.getfixturevalue("no_service")

    with counted_statements() as statements:
        answer = await alice.get(item)

    assert answer.status_code == 200
    assert statements == []


async def test_a_condition_that_cannot_be_read_takes_no_lease(alice: Caller) -> None:
    item = (await alice.create())["id"]

    refused = await alice.get(item, **{"If-Match": "no tag"})

    assert refused.status_code == 400
    await alice.get(item)  # who gets the lease, and fills
    with counted_statements() as statements:
        await alice.get(item)
    assert statements == []


async def test_who_can_own_nothing_reads_nothing_from_the_cache_either(alice: Caller, caller: MakeCaller) -> None:
    item = (await alice.create())["id"]
    await alice.get(item)
    nobody = caller("x" * (OWNER_MAX + 1), scope="items:read items:admin")

    assert (await nobody.get(item)).status_code == 403


async def test_without_the_scope_nothing_is_read_from_the_cache(alice: Caller, caller: MakeCaller) -> None:
    item = (await alice.create())["id"]
    await alice.get(item)
    same = caller(alice.subject, scope="items:write")

    assert (await same.get(item)).status_code == 403


async def test_an_administrator_reads_anothers_item_from_the_cache(alice: Caller, admin: Caller) -> None:
    item = (await alice.create())["id"]
    await alice.get(item)

    with counted_statements() as statements:
        answer = await admin.get(item)

    assert (answer.status_code, statements) == (200, [])


@pytest.mark.parametrize("spelling", ["{%s}", "urn:uuid:%s", "%s "])
async def test_an_id_has_one_spelling_in_front_of_the_cache_too(alice: Caller, spelling: str) -> None:
    item = (await alice.create())["id"]
    await alice.get(item)

    assert (await alice.get(spelling % item)).status_code == 422


async def test_who_is_to_refresh_a_stale_entry_asks_the_database(make_settings: MakeSettings, issuer: Issuer) -> None:
    app = create_app(make_settings(cache_soft_lifetime_seconds=0.01))
    async with app_client(app) as client:
        await until_ready(app)
        alice = caller_of(client, issuer)
        item = (await alice.create())["id"]
        await alice.get(item)
        await asyncio.sleep(0.05)

        with counted_statements() as statements:
            answer = await alice.get(item)

    assert (answer.status_code, len(statements)) == (200, 1)

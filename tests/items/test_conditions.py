"""If-Match and If-None-Match, by RFC 9110 sections 13.1 and 13.2."""

import pytest

from services.common.exceptions import BadRequestError
from services.items.etags import MAX_TAGS, Tags
from tests.items.conftest import Caller
from tests.items.test_api import assert_problem

# the item of these tests is at version 2: header value, does If-Match accept it, does If-None-Match know it
VALUES = [
    ('"2"', True, True),
    ('"1"', False, False),
    ('"1", "2"', True, True),
    ('"1","2","3"', True, True),
    (', ,"2"', True, True),
    ('W/"2"', False, True),
    ('W/"2", "1"', False, True),
    ('W/"1", "2"', True, True),
    ("*", True, True),
    ('"02"', False, False),
    ('"v2"', False, False),
    ('"2 "', None, None),
    ('""', False, False),
    ('"a,b", "2"', True, True),
    ('"\xe9"', False, False),
    ('"99999999999999999999999"', False, False),
    ('"999999999999999999"', False, False),
    ('"-2"', False, False),
    ("2", None, None),
    ('"2', None, None),
    ('2"', None, None),
    ('w/"2"', None, None),
    ('W/ "2"', None, None),
    ('"2" "1"', None, None),
    ('*, "2"', None, None),
    ("", None, None),
    (",", None, None),
    ('"2"\x7f', None, None),
]


@pytest.fixture(params=[False, True], ids=["", "cached"])
async def item_id(alice: Caller, request: pytest.FixtureRequest) -> str:
    """An item at version 2, that the next read finds in the database or in the cache."""
    created = await alice.create()
    assert (await alice.patch(created["id"], name="second")).headers["etag"] == '"2"'
    if request.param:
        await alice.get(created["id"])
    return str(created["id"])


@pytest.mark.parametrize(("value", "accepted", "_"), VALUES, ids=repr)
async def test_if_match_of_reads_and_writes(
    alice: Caller, item_id: str, value: str, accepted: bool | None, _: object
) -> None:
    headers = {"If-Match": value.encode("latin-1")}

    read = await alice.ask("GET", f"/{item_id}", headers=headers)
    replaced = await alice.ask(
        "PUT", f"/{item_id}", json={"name": "third", "price_minor": 1, "currency": "EUR"}, headers=headers
    )
    version = (await alice.get(item_id)).json()["version"]

    expected = {True: (200, 200, 3), False: (412, 412, 2), None: (400, 400, 2)}[accepted]
    assert (read.status_code, replaced.status_code, version) == expected


@pytest.mark.parametrize(("value", "_", "known"), VALUES, ids=repr)
async def test_if_none_match_of_reads_and_writes(
    alice: Caller, item_id: str, value: str, _: object, known: bool | None
) -> None:
    headers = {"If-None-Match": value.encode("latin-1")}

    read = await alice.ask("GET", f"/{item_id}", headers=headers)
    patched = await alice.ask("PATCH", f"/{item_id}", json={"name": "third"}, headers=headers)

    expected = {True: (304, 412), False: (200, 200), None: (400, 400)}[known]
    assert (read.status_code, patched.status_code) == expected


async def test_304_has_the_tag_and_no_body(alice: Caller, item_id: str) -> None:
    answer = await alice.get(item_id, **{"If-None-Match": '"2"'})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"2"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "content-type" not in answer.headers


async def test_lines_of_one_header_are_one_list(alice: Caller, item_id: str) -> None:
    headers = [*alice.headers.items(), ("If-Match", '"1"'), ("If-Match", '"2"')]

    answer = await alice.client.get(f"/v1/items/{item_id}", headers=headers)

    assert answer.status_code == 200


async def test_if_match_is_judged_before_if_none_match(alice: Caller, item_id: str) -> None:
    both = {"If-Match": '"1"', "If-None-Match": '"2"'}

    assert (await alice.get(item_id, **both)).status_code == 412
    assert (await alice.get(item_id, **(both | {"If-Match": '"2"'}))).status_code == 304


@pytest.mark.parametrize("value", ['"1"', "*", 'W/"9"'])
async def test_conditions_on_an_absent_item_are_ignored(alice: Caller, item_id: str, value: str) -> None:
    await alice.delete(item_id)

    for header in ("If-Match", "If-None-Match"):
        assert_problem(await alice.get(item_id, **{header: value}), 404)
        assert_problem(await alice.delete(item_id, **{header: value}), 404)


async def test_delete_obeys_if_match(alice: Caller, item_id: str) -> None:
    assert_problem(await alice.delete(item_id, **{"If-Match": '"1"'}), 412)
    assert (await alice.get(item_id)).status_code == 200
    assert (await alice.delete(item_id, **{"If-Match": '"2"'})).status_code == 204


async def test_a_refused_write_changes_and_forgets_nothing(alice: Caller, item_id: str) -> None:
    before = (await alice.get(item_id)).json()

    assert_problem(await alice.patch(item_id, {"If-Match": '"1"'}, name="late"), 412)

    assert (await alice.get(item_id)).json() == before


def test_more_tags_than_the_limit_are_refused() -> None:
    fits = ",".join(f'"{n}"' for n in range(1, MAX_TAGS + 1))

    assert len(Tags.parse("If-Match", [fits]).strong) == MAX_TAGS
    with pytest.raises(BadRequestError, match="holds 101"):
        Tags.parse("If-Match", [fits, '"0"'])

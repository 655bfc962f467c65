"""What is refused: each with problem+json that names the field and never repeats the value."""

import json
import re
import uuid
from typing import Any

import pytest

from services.items.currencies import CURRENCIES
from tests.items.conftest import GOOD, Caller
from tests.items.test_api import assert_problem

SOME_ID = "019abf5e-4a6b-7c11-9a55-3d2f6e1b8c70"
WRONG: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "x" * 201),
    ("name", "a\0b"),
    ("name", 5),
    ("name", None),
    ("name", ["lamp"]),
    ("description", "x" * 4001),
    ("description", "\0"),
    ("description", None),
    ("price_minor", -1),
    ("price_minor", 10**12 + 1),
    ("price_minor", 10**400),
    ("price_minor", "1"),
    ("price_minor", 1.0),
    ("price_minor", True),
    ("price_minor", None),
    ("currency", "eur"),
    ("currency", "EURO"),
    ("currency", "XXX"),
    ("currency", ""),
    ("currency", 978),
    ("tags", "home"),
    ("tags", {"home": 1}),
    ("tags", ["a"] * 2),
    ("tags", [str(n) for n in range(21)]),
    ("tags", [""]),
    ("tags", ["x" * 51]),
    ("tags", ["a\0"]),
    ("tags", [1]),
    ("tags", [None]),
    ("id", SOME_ID),
    ("owner", "bob"),
    ("version", 7),
    ("created_at", "2020-01-01T00:00:00Z"),
    ("price", 5),
    ("", 5),
]


@pytest.mark.parametrize(("member", "value"), WRONG, ids=lambda v: repr(v)[:24])
async def test_a_wrong_member_is_422_in_create_replace_and_patch(alice: Caller, member: str, value: Any) -> None:
    item = await alice.create()
    nullable = value is None and member in {"description", "tags"}

    answers = [
        await alice.ask("POST", json=GOOD | {member: value}),
        await alice.put(item["id"], **{member: value}),
        *([] if nullable else [await alice.patch(item["id"], **{member: value})]),
    ]

    for answer in answers:
        problem = assert_problem(answer, 422)
        assert all(e["location"].startswith(f"body.{member}".rstrip(".")) for e in problem["errors"])
        assert "xxxxx" not in answer.text
    assert (await alice.get(item["id"])).json() == item


async def test_values_at_the_limits_are_kept(alice: Caller) -> None:
    item = await alice.create(
        name="😀" * 200,
        description="\U0010ffff" * 4000,
        price_minor=10**12,
        currency="XPF",
        tags=[f"{n:02}" + "ü" * 48 for n in range(20)],
    )

    assert (await alice.get(item["id"])).json() == item


async def test_currencies_are_codes_that_the_table_accepts(alice: Caller) -> None:
    assert len(CURRENCIES) == 155
    assert all(re.fullmatch("[A-Z]{3}", code) for code in CURRENCIES)
    assert {(await alice.create(currency=code))["currency"] for code in ("EUR", "XAF", "ZWG")} <= CURRENCIES


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"lamp"', 422),
        (b"NaN", 422),
        (b'{"name": "\xff\xfe"}', 400),
        (b'{"name": "\\ud800", "price_minor": 1, "currency": "EUR"}', 422),
        (b'{"\\ud800": 1}', 422),
        (b'{"name": "a", "price_minor": 1e999, "currency": "EUR"}', 422),
        (b'{"name": "a", "price_minor": NaN, "currency": "EUR"}', 422),
        (b'{"name": "a", "currency": "EUR", "price_minor": ' + b"9" * 5000 + b"}", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b'{"name": "a", "price_minor": 1, "currency": "EUR", "tags": [[[[]]]]}', 422),
    ],
    ids=lambda v: repr(v)[:30],
)
async def test_a_body_that_is_no_item_is_refused(alice: Caller, body: bytes, status: int) -> None:
    item_id = (await alice.create())["id"]

    for method, path in (("POST", ""), ("PUT", f"/{item_id}"), ("PATCH", f"/{item_id}")):
        answer = await alice.ask(method, path, content=body, headers={"Content-Type": "application/json"})
        assert_problem(answer, status)


async def test_a_body_too_long_is_413(alice: Caller) -> None:
    body = json.dumps(GOOD | {"description": "x" * 1_100_000})

    answer = await alice.ask("POST", content=body, headers={"Content-Type": "application/json"})

    assert_problem(answer, 413)


@pytest.mark.parametrize("item_id", ["1", "None", "%00", "%ff", "a" * 300, f"{SOME_ID}x"])
async def test_a_wrong_id_is_422_or_no_path_at_all(alice: Caller, item_id: str) -> None:
    for method, options in (("GET", {}), ("PUT", {"json": GOOD}), ("PATCH", {"json": {}}), ("DELETE", {})):
        answer = await alice.ask(method, f"/{item_id}", **options)
        assert answer.status_code in {404, 405, 422}, (method, answer.text)
        assert_problem(answer, answer.status_code)


SPELLINGS = ["{{{0}}}", "urn:uuid:{0}", "{0.hex}", "{0}%20", "%7B{0}%7D", "{{{0.hex}}}"]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_an_id_has_one_spelling(alice: Caller, spelling: str) -> None:
    item_id = uuid.UUID((await alice.create())["id"])

    for method, options in (("GET", {}), ("PUT", {"json": GOOD}), ("PATCH", {"json": {}}), ("DELETE", {})):
        problem = assert_problem(await alice.ask(method, f"/{spelling.format(item_id)}", **options), 422)
        assert problem["errors"][0]["location"] == "path.item_id"
    assert (await alice.get(str(item_id).upper())).status_code == 200  # RFC 9562 4: case insensitive on input


async def test_a_parameter_given_twice_is_named(alice: Caller) -> None:
    problem = assert_problem(await alice.list(limit=[1, 2], sort=["name", "name"]), 422)

    assert [error["location"] for error in problem["errors"]] == ["query.limit", "query.sort"]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "ten"},
        {"limit": ""},
        {"limit": "9" * 5000},
        {"limit": "1_0"},
        {"limit": "1.0"},
        {"limit": "+1"},
        {"limit": " 1"},
        {"limit": "１"},  # noqa: RUF001 - a digit that is not one of ten
        {"limit": [1, 2]},
        {"limit": [1, 1]},
        {"tag": ["a", "b"]},
        {"sort": "description"},
        {"sort": "--name"},
        {"sort": ""},
        {"sort": "price_minor"},
        {"sort": "-price_minor", "tag": "a"},
        {"currency": "eur"},
        {"currency": "EU\0"},
        {"tag": ""},
        {"tag": "x" * 51},
        {"tag": "\0"},
        {"name_prefix": ""},
        {"name_prefix": "x" * 201},
        {"name_prefix": "a\0"},
        {"cursor": "x" * 4097},
        {"cursor": "\0"},
        {"owner": "bob"},
        {"offset": 3},
        {"LIMIT": 3},
    ],
    ids=lambda v: repr(v)[:40],
)
async def test_a_wrong_or_unknown_parameter_of_a_list_is_422(alice: Caller, params: dict[str, Any]) -> None:
    assert_problem(await alice.list(**params), 422)

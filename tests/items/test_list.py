"""Lists: each order, filters, and pages that neither repeat nor miss an item."""

from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.items.repository import prefix_end
from tests.items.conftest import Caller, caller_of
from tests.support.servers import execute
from tests.support.tokens import Issuer

NAMES = ["", "a", "A", "ab", "Zoë", "zz", "é", "日本", "😀", "\U0010ffff", "a b", "ﬀ"]


async def pages(caller: Caller, **params: Any) -> list[dict[str, Any]]:
    """Every item of a list, page after page."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await caller.list(**params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= params.get("limit", 20)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        assert len(page["items"]) == params.get("limit", 20)
        params["cursor"] = page["next_cursor"]


@pytest.fixture(scope="module")
def carol(client: httpx2.AsyncClient, issuer: Issuer) -> Caller:
    """Whose items `items` are; nobody changes them."""
    return caller_of(client, issuer)


@pytest.fixture(scope="module")
async def items(carol: Caller, migrated_url: str) -> list[dict[str, Any]]:
    """Twenty-four items with many equal values, created at three moments only."""
    created = [
        await carol.create(
            name=f"x{NAMES[n % 12]}", price_minor=n % 5, currency="EUR" if n % 3 else "SEK", tags=[f"t{n % 4}"]
        )
        for n in range(24)
    ]
    execute(
        migrated_url,
        "UPDATE items SET created_at = date_trunc('year', created_at) + (price_minor % 3) * interval '1 day'"
        " WHERE name LIKE 'x%'",
    )
    return [(await carol.get(item["id"])).json() for item in created]


def value(item: dict[str, Any], sort: str) -> tuple[Any, str]:
    found = item[sort.lstrip("-")]
    return (found.encode() if isinstance(found, str) else found, item["id"])


@pytest.mark.parametrize("limit", [1, 5, 24, 100])
@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name", "price_minor", "-price_minor"])
async def test_pages_hold_each_item_once_in_order(
    carol: Caller, items: list[dict[str, Any]], sort: str, limit: int
) -> None:
    filters = {"currency": "EUR"} if "price" in sort else {}
    expected = sorted(
        (item for item in items if not filters or item["currency"] == "EUR"),
        key=lambda item: value(item, sort),
        reverse=sort.startswith("-"),
    )

    found = await pages(carol, sort=sort, limit=limit, **filters)

    assert [item["id"] for item in found] == [item["id"] for item in expected]


@pytest.mark.parametrize(
    ("filters", "keep"),
    [
        ({"currency": "SEK"}, lambda item: item["currency"] == "SEK"),
        ({"tag": "t1"}, lambda item: "t1" in item["tags"]),
        ({"tag": "none"}, lambda _: False),
        ({"name_prefix": "xa"}, lambda item: item["name"].startswith("xa")),
        ({"name_prefix": "x\U0010ffff"}, lambda item: item["name"].startswith("x\U0010ffff")),
        ({"name_prefix": "%"}, lambda _: False),
        ({"name_prefix": "x", "tag": "t2", "currency": "EUR"}, lambda i: "t2" in i["tags"] and i["currency"] == "EUR"),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
@pytest.mark.parametrize("sort", ["-created_at", "name"])
async def test_filters_choose(
    carol: Caller, items: list[dict[str, Any]], filters: dict[str, str], keep: Any, sort: str
) -> None:
    found = await pages(carol, sort=sort, limit=2, **filters)

    assert {item["id"] for item in found} == {item["id"] for item in items if keep(item)}
    assert len(found) == len({item["id"] for item in found})


async def test_the_newest_come_first_unless_asked_otherwise(alice: Caller) -> None:
    created = [(await alice.create())["id"] for _ in range(3)]

    assert [item["id"] for item in (await alice.list()).json()["items"]] == created[::-1]


async def test_items_created_and_deleted_between_pages_disturb_no_other(alice: Caller) -> None:
    ids = [(await alice.create(name=f"n{n}"))["id"] for n in range(6)]
    first = (await alice.list(sort="name", limit=2)).json()

    await alice.delete(ids[1])
    await alice.delete(ids[3])
    await alice.create(name="n0 late")
    late = (await alice.create(name="n4 late"))["id"]
    rest = await pages(alice, sort="name", limit=2, cursor=first["next_cursor"])

    assert [item["id"] for item in first["items"]] == ids[:2]
    assert [item["id"] for item in rest] == [ids[2], ids[4], late, ids[5]]


async def test_an_empty_list_is_a_page_without_a_next(alice: Caller) -> None:
    assert (await alice.list()).json() == {"items": [], "next_cursor": None}


@example(prefix="\ud7ff", suffix="", other="\ue000")
@example(prefix="a\U0010ffff", suffix="\U0010ffff", other="b")
@example(prefix="\U0010ffff", suffix="\U0010ffff", other="")
@given(prefix=st.text(min_size=1, max_size=4), suffix=st.text(max_size=4), other=st.text(max_size=6))
def test_the_range_of_a_prefix_holds_what_begins_with_it_and_nothing_else(prefix: str, suffix: str, other: str) -> None:
    end = prefix_end(prefix)

    for text in (prefix + suffix, other):
        encoded = text.encode()
        in_range = encoded >= prefix.encode() and (end is None or encoded < end.encode())
        assert in_range == text.startswith(prefix)

"""Each list is served by an index: judged by Postgres' own plans over ten thousand rows."""

import json
import uuid
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql

from services.items.cursor import Position
from services.items.repository import list_statement
from services.items.schemas import ItemList
from tests.support.servers import execute

ROWS = 10_000
OWNER = "owner-7"
FILL = f"""
INSERT INTO items (id, owner, name, price_minor, currency, tags, created_at)
SELECT gen_random_uuid(), 'owner-' || n % 20, 'name ' || md5(n::text), n % 500, (ARRAY['EUR', 'SEK', 'USD'])[1 + n % 3],
       ARRAY['common-' || n % 2, 'rare-' || n % 1000], now() - n / 10 * interval '1 minute'
FROM generate_series(1, {ROWS}) AS n
"""  # noqa: S608 - our own
SORTS = ["created_at", "-created_at", "name", "-name", "price_minor", "-price_minor"]
FILTERS: list[dict[str, str]] = [
    {},
    {"currency": "SEK"},
    {"tag": "common-1"},
    {"tag": "rare-7"},
    {"tag": "absent"},
    {"name_prefix": "name a"},
    {"name_prefix": "name abc"},
    {"currency": "SEK", "tag": "rare-7", "name_prefix": "name"},
]


@pytest.fixture(scope="module")
def filled_url(migrated_url: str) -> str:
    execute(migrated_url, FILL, "VACUUM ANALYZE items")
    return migrated_url


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def plan_of(url: str, query: ItemList, owner: str | None, after: Position | None) -> list[dict[str, Any]]:
    """The nodes of the plan after running it; parameters are written in, as a custom plan sees them."""
    compiled = list_statement(query, owner, after).compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
        compile_kwargs={"literal_binds": True},
    )
    [[row]] = execute(url, f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}")
    return nodes(json.loads(row[0])[0]["Plan"])


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_a_list_reads_an_index_and_sorts_no_more_than_what_a_filter_left(
    filled_url: str, filters: dict[str, str], sort: str
) -> None:
    if "price" in sort:
        filters = {"currency": "EUR"} | filters
    values: dict[str, Any] = {
        "created_at": "2026-11-22T10:00:00+00:00",
        "name": "name abcd",
        "price_minor": 250,
    }
    query = ItemList(sort=sort, **filters)

    for owner in (OWNER, None):
        for after in (None, Position(values[sort.lstrip("-")], uuid.uuid4())):
            found = plan_of(filled_url, query, owner, after)

            assert [node for node in found if node["Node Type"] == "Seq Scan"] == [], found
            for node in found:
                if "Sort" in node["Node Type"]:
                    [child] = node["Plans"]
                    assert filters, "without a filter the order comes from the index"
                    assert child["Actual Rows"] <= ROWS / 10, found


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_deep_in_a_list_reads_no_more_rows_than_the_first(filled_url: str, sort: str) -> None:
    query = ItemList(sort=sort, currency="EUR" if "price" in sort else None, limit=20)
    column = sort.lstrip("-")
    middle_of = f"SELECT {column} AS value, id FROM items WHERE owner = '{OWNER}'"  # noqa: S608 - our own
    [[middle]] = execute(filled_url, f"{middle_of} ORDER BY {column}, id OFFSET 250 LIMIT 1")
    value = middle["value"].isoformat() if column == "created_at" else middle["value"]

    found = plan_of(filled_url, query, OWNER, Position(value, middle["id"]))

    scans = [node for node in found if "Scan" in node["Node Type"]]
    assert all(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 21 for node in scans), found

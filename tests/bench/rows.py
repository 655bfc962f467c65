"""Where items stop being as quick as with few rows: one read, the first page, a page in the middle, a search."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import orjson

from services.items.cursor import CursorSigner, Position
from services.items.schemas import ItemList
from tests.bench import items
from tests.bench.gateway import named
from tests.bench.load import Request
from tests.bench.questions import Measure, Question, Ratio
from tests.support.databases import execute, with_database

COUNTS = ("1000", "10000", "100000", "1000000")
AT_ONCE = 100_000
"""Rows of one statement: each has its own time limit."""


@dataclass(frozen=True)
class Tables:
    """A database for each number of rows, in one server."""

    stores: items.Stores
    middles: Mapping[str, Position]
    """Where the middle of each list is."""

    def database(self, rows: str) -> str:
        """The database with so many rows."""
        return with_database(self.stores.postgres, f"items_{rows}")


@contextmanager
def tables() -> Generator[Tables]:
    """All rows belong to the one who asks; the newest have the smallest numbers."""
    with items.stores(rows=0) as stores:
        middles: dict[str, Position] = {}
        for rows in COUNTS:
            execute(stores.postgres, f"CREATE DATABASE items_{rows} TEMPLATE items")
            url, count = with_database(stores.postgres, f"items_{rows}"), int(rows)
            parts = [(begin, min(begin + AT_ONCE - 1, count)) for begin in range(1, count + 1, AT_ONCE)]
            execute(url, *(items.insert(*part) for part in parts), "VACUUM ANALYZE items")
            (found,) = execute(
                url,
                f"SELECT created_at, id FROM items ORDER BY created_at DESC, id DESC OFFSET {count // 2} LIMIT 1",  # noqa: S608 - of constants
            )
            created_at: datetime = found[0]["created_at"]
            middles[rows] = Position(created_at, UUID(str(found[0]["id"])))
        yield Tables(stores, middles)


@contextmanager
def filled(around: Tables, *, rows: str, query: str) -> Generator[Measure]:
    """Items with so many rows, one request at a time; `read` is of 500 items in turn that no cache has."""
    module = "tests.bench.apps.uncached"
    with items.slipway_target(
        around.stores, what="read", module=module, connections=1, DATABASE_URL=around.database(rows)
    ) as (target, _management):
        headers = target.requests[0].headers
        if query == "read":
            step = int(rows) // items.READ
            paths = [f"/v1/items/{items.identifier(number * step + 1)}" for number in range(items.READ)]
        else:
            paths = [f"/v1/items?{query.replace('MIDDLE', middle(around.middles[rows]))}"]
        yield replace(target, requests=tuple(Request(path, headers=headers) for path in paths)).measure


def middle(position: Position) -> str:
    """The cursor that a client has who has gone through half of the list, as items sign it for this caller."""
    query = ItemList().model_dump(exclude={"cursor", "limit"})
    listing = orjson.dumps([items.OWNER, query], option=orjson.OPT_SORT_KEYS)
    return CursorSigner(items.SECRET).sign(position, listing)


ASKED = (
    ("read", "the read of one item, uncached", "read", "an index leads to it, a level deeper for 100 times the rows"),
    ("first-page", "the first page of a list", "limit=20", "the index has the list's order: the page is its beginning"),
    ("deep-page", "a page in the middle of a list", "limit=20&cursor=MIDDLE", "a cursor goes to its row by the index"),
    (
        "search",
        "the search for the beginning of a name",
        "name_prefix=lamp+9&sort=name&limit=20",
        "a prefix is a range of the index over names, and its first twenty are read",
    ),
)  # fmt: skip
QUESTIONS = tuple(
    Question(
        name=f"items-rows-{name}",
        group="curves",
        asks=f"What do more rows do to {what}?",
        environment=tables,
        stays=True,
        sides={number: named(filled, rows=number, query=query) for number in COUNTS},
        ratios=(Ratio(COUNTS[-1], COUNTS[0], "p50_ms"),),
        axis="rows",
        curve="p50_ms",
        flat=("p50_ms", "p99_ms"),
        rounds=4,
        seconds=2,
        start_seconds=60 if name == ASKED[0][0] else 1,
        notes=("one request at a time; all rows belong to the one who asks", how),
        why=dict.fromkeys(("p50_ms", "p99_ms"), "more of the index and the table is outside the caches they fit into"),
        needs={"wrk": "wrk"},
    )
    for name, what, query, how in ASKED
)

"""Every SQL statement about items."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import ColumnElement, Select, Table, Uuid, bindparam, false, func, literal, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from services.items.cursor import Position
from services.items.etags import Preconditions
from services.items.exceptions import ItemChangedError, ItemNotFoundError, KeyInUseError, KeyReusedError
from services.items.idempotency import LIFETIME, Answer, Once
from services.items.models import Item, KeptAnswer
from services.items.schemas import ItemList, ItemRead

FORGOTTEN_AT_ONCE = 10  # answers whose time is over, for each one that is kept: there are never more than of a day
LAST_CHARACTER = 0x10FFFF
BEFORE_SURROGATES, AFTER_SURROGATES = 0xD7FF, 0xE000  # what lies between is no character


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is ordered by, and how its value comes back from a cursor's JSON."""

    column: Any
    read: Callable[[Any], datetime | str | int]


# one column of a class's in a statement, and all of it is an object's: lists are made of the table's own
ITEMS: Table = Item.__table__  # type: ignore[attr-defined]

ORDERS = {
    "created_at": Order(ITEMS.c.created_at, datetime.fromisoformat),
    "name": Order(ITEMS.c.name, str),
    "price_minor": Order(ITEMS.c.price_minor, int),
}

# made once, for building a statement costs as much as running it
ROWS = sqlalchemy.select(ITEMS)
GET = ROWS.where(ITEMS.c.id == bindparam("item_id"))
GET_OWN = GET.where(ITEMS.c.owner == bindparam("whose"))
ADD = insert(ITEMS).returning(*ITEMS.c)


class ItemRepository:
    """Items in one session. `owner` limits each method to one person's items; None reaches everybody's."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def commit(self) -> None:
        """End the transaction and make its changes last; what was not committed is rolled back."""
        await self._session.commit()

    async def release(self) -> None:
        """End the transaction without a commit: its connection goes back into the pool."""
        await self._session.close()

    async def add(self, item_id: UUID, owner: str, values: Mapping[str, Any]) -> ItemRead:
        """Insert; the returned item has the times that the database gave it."""
        [added] = await self._rows(ADD, {"id": item_id, "owner": owner, **values})
        return added

    async def get(self, item_id: UUID, owner: str | None) -> ItemRead:
        """Read one item; raises ItemNotFoundError."""
        found = await self._rows(GET if owner is None else GET_OWN, {"item_id": item_id, "whose": owner})
        if not found:
            raise ItemNotFoundError(item_id)
        return found[0]

    async def update(
        self, item_id: UUID, owner: str | None, values: Mapping[str, Any], conditions: Preconditions
    ) -> Item:
        """Change an item at an accepted version, in one statement: of two writers one comes second.

        Raises ItemNotFoundError or ItemChangedError.
        """
        statement = (
            update(Item)
            .where(*_reach(item_id, owner), *_accepted(conditions))
            .values(**values, version=col(Item.version) + 1, updated_at=func.now())
            .returning(Item)
        )
        changed: Item | None = (await self._session.exec(statement)).scalars().one_or_none()
        if changed is None:
            raise await self._refusal(item_id, owner)
        return changed

    async def delete(self, item_id: UUID, owner: str | None, conditions: Preconditions) -> None:
        """Remove an item at an accepted version; raises ItemNotFoundError or ItemChangedError."""
        statement = delete(Item).where(*_reach(item_id, owner), *_accepted(conditions)).returning(col(Item.id))
        if (await self._session.exec(statement)).one_or_none() is None:
            raise await self._refusal(item_id, owner)

    async def list(self, query: ItemList, owner: str | None, after: Position | None) -> Sequence[ItemRead]:
        """Read one page and, when there are more, the first item of the next."""
        return await self._rows(list_statement(query, owner, after))

    async def kept(self, once: Once) -> Answer | None:
        """The answer to a key, if it has one. Until the transaction ends nobody else has this key.

        Raises KeyInUseError or KeyReusedError.
        """
        if not (await self._session.exec(select(func.pg_try_advisory_xact_lock(once.lock)))).one():
            raise KeyInUseError
        # a statement of its own: whoever had the lock before has committed what this one sees
        statement = select(KeptAnswer).where(col(KeptAnswer.id) == once.id, _alive())
        found = (await self._session.exec(statement)).one_or_none()
        if found is None:
            return None
        if found.fingerprint != once.fingerprint:
            raise KeyReusedError
        return Answer(found.status, found.headers, found.body, replayed=True)

    async def keep(self, once: Once, answer: Answer) -> None:
        """Keep the answer to a key, and forget some whose time is over."""
        values = {
            "fingerprint": once.fingerprint,
            "status": answer.status,
            "headers": answer.headers,
            "body": answer.body,
            "created_at": func.now(),
        }
        statement = insert(KeptAnswer).values(id=once.id, **values)
        # one that is there is too old: `kept` has not found it
        await self._session.exec(statement.on_conflict_do_update(index_elements=["id"], set_=values))
        oldest = (
            select(KeptAnswer.id)
            .where(~_alive())
            .order_by(col(KeptAnswer.created_at))
            .limit(FORGOTTEN_AT_ONCE)
            .with_for_update(skip_locked=True)  # another writer forgets those
        )
        await self._session.exec(delete(KeptAnswer).where(col(KeptAnswer.id).in_(oldest)))

    async def _rows(self, statement: Any, values: Mapping[str, Any] | None = None) -> Sequence[ItemRead]:
        """Items straight from their rows: to make objects of the session's first costs more than to read them."""
        found: Any = await self._session.exec(statement, params=values)
        return [ItemRead.model_validate(dict(row)) for row in found.mappings()]

    async def _refusal(self, item_id: UUID, owner: str | None) -> Exception:
        statement = select(Item.version).where(*_reach(item_id, owner))
        exists = (await self._session.exec(statement)).one_or_none() is not None
        return ItemChangedError() if exists else ItemNotFoundError(item_id)


def list_statement(query: ItemList, owner: str | None, after: Position | None) -> Select[Any]:
    """Select a page by keyset and one item more; each order and each filter has its index."""
    order, backwards = ORDERS[query.sort.lstrip("-")], query.sort.startswith("-")
    key = (order.column, ITEMS.c.id)
    statement = ROWS.where(*_filters(query, owner)).limit(query.limit + 1)
    if after is not None:
        # compared as a row: items with the same value go on by their id
        place = tuple_(literal(order.read(after.value), order.column.type), literal(after.id, Uuid()))
        statement = statement.where(tuple_(*key) < place if backwards else tuple_(*key) > place)
    return statement.order_by(*(part.desc() if backwards else part for part in key))


def position(item: ItemRead, query: ItemList) -> Position:
    """Where a page that ends with this item ends."""
    return Position(getattr(item, query.sort.lstrip("-")), item.id)


def prefix_end(prefix: str) -> str | None:
    """The first text after all that begin with `prefix`, by code point; None when no text is after them.

    A range and not LIKE: it is an index range also when the statement is planned without its values.
    """
    for length in range(len(prefix), 0, -1):
        code = ord(prefix[length - 1])
        if code < LAST_CHARACTER:
            following = AFTER_SURROGATES if code == BEFORE_SURROGATES else code + 1
            return prefix[: length - 1] + chr(following)
    return None


def _alive() -> ColumnElement[bool]:
    return col(KeptAnswer.created_at) > func.now() - LIFETIME


def _filters(query: ItemList, owner: str | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if owner is not None:
        found.append(ITEMS.c.owner == owner)
    if query.currency is not None:
        found.append(ITEMS.c.currency == query.currency)
    if query.tag is not None:
        found.append(ITEMS.c.tags.contains([query.tag]))
    if query.name_prefix is not None:
        found.append(ITEMS.c.name >= query.name_prefix)
        if (end := prefix_end(query.name_prefix)) is not None:
            found.append(ITEMS.c.name < end)
    return found


def _reach(item_id: UUID, owner: str | None) -> list[ColumnElement[bool]]:
    mine = [] if owner is None else [col(Item.owner) == owner]
    return [col(Item.id) == item_id, *mine]


def _accepted(conditions: Preconditions) -> list[ColumnElement[bool]]:
    """Conditions as SQL, so that checking and changing are one step."""
    if conditions.excludes_all:
        return [false()]
    found: list[ColumnElement[bool]] = []
    if conditions.required is not None:
        found.append(col(Item.version).in_(conditions.required))
    if conditions.excluded:
        found.append(col(Item.version).not_in(conditions.excluded))
    return found

"""What can be done with items: who reaches which, where a transaction ends, what the cache is told.

The scope items:admin widens whose items a caller reaches; it stands for neither items:read nor items:write,
which each method needs as well.
"""

from collections.abc import Callable
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from services.common.security import Principal
from services.items.cache import Found, ItemCache
from services.items.cursor import CursorSigner
from services.items.etags import Preconditions
from services.items.exceptions import ItemNotFoundError
from services.items.idempotency import Answer, Once
from services.items.repository import ItemRepository, position
from services.items.schemas import ItemList, ItemPage, ItemPatch, ItemRead, ItemWrite

ADMIN_SCOPE = "items:admin"


def owner(principal: Principal) -> str | None:
    """Whose items a caller reaches; None: everybody's."""
    return None if ADMIN_SCOPE in principal.scopes else principal.subject


def may_serve(found: Found, owner: str | None) -> bool:
    """Whether an answer may be what the cache had: it is theirs, and it is not for this reader to refresh."""
    return found.item is not None and found.lease is None and owner in (None, found.item.owner)


class ItemService:
    """The catalogue as one caller sees it: their own items, or everybody's with items:admin."""

    def __init__(self, *, items: ItemRepository, cache: ItemCache, cursors: CursorSigner, principal: Principal) -> None:
        self._items = items
        self._cache = cache
        self._cursors = cursors
        self._subject = principal.subject
        self._owner = owner(principal)

    async def create(self, body: ItemWrite) -> ItemRead:
        """Add an item of the caller's. Nothing is cached under its id yet: there is nothing to forget."""
        item = await self._items.add(uuid7(), self._subject, body.model_dump())
        await self._items.commit()
        return item

    async def create_once(self, body: ItemWrite, once: Once, answer: Callable[[ItemRead], Answer]) -> Answer:
        """Add an item unless its key has been answered; item and answer are committed together.

        So after a crash either both are there, or neither. Raises KeyInUseError, KeyReusedError.
        """
        kept = await self._items.kept(once)
        if kept is not None:
            return kept
        made = answer(await self._items.add(uuid7(), self._subject, body.model_dump()))
        await self._items.keep(once, made)
        await self._items.commit()
        return made

    async def get(self, item_id: UUID, found: Found) -> ItemRead:
        """Read one item, from what the cache had where that may be served; raises ItemNotFoundError."""
        if found.item is not None and may_serve(found, self._owner):
            return found.item
        # somebody else's cached item is asked for in the database too, as one that is not there would be
        try:
            item = await self._read(item_id)
        except ItemNotFoundError:
            await self._cache.give_back(item_id, found)
            raise
        await self._cache.fill(found, item)
        return item

    async def replace(self, item_id: UUID, body: ItemWrite, conditions: Preconditions) -> ItemRead:
        """Put all of an item's members; raises ItemNotFoundError, ItemChangedError."""
        item = await self._items.update(item_id, self._owner, body.model_dump(), conditions)
        async with self._cache.writing(item_id):
            await self._items.commit()
        return ItemRead.model_validate(item)

    async def patch(self, item_id: UUID, patch: ItemPatch, conditions: Preconditions) -> ItemRead:
        """Change the members that the patch names, an empty one too makes a version.

        Raises ItemNotFoundError, ItemChangedError.
        """
        values = {**patch}
        for name, default in (("description", ""), ("tags", [])):
            if name in values and values[name] is None:
                values[name] = default
        item = await self._items.update(item_id, self._owner, values, conditions)
        async with self._cache.writing(item_id):
            await self._items.commit()
        return ItemRead.model_validate(item)

    async def delete(self, item_id: UUID, conditions: Preconditions) -> None:
        """Remove an item; raises ItemNotFoundError, ItemChangedError."""
        await self._items.delete(item_id, self._owner, conditions)
        async with self._cache.writing(item_id):
            await self._items.commit()

    async def list(self, query: ItemList) -> ItemPage:
        """Read one page; raises BadCursorError."""
        listing = self._listing(query)
        after = self._cursors.read(query.cursor, listing) if query.cursor is not None else None
        rows = await self._items.list(query, self._owner, after)
        page, more = rows[: query.limit], rows[query.limit :]
        return ItemPage(
            items=[*page],
            next_cursor=self._cursors.sign(position(page[-1], query), listing) if more else None,
        )

    async def _read(self, item_id: UUID) -> ItemRead:
        """Ask the database; the connection is back in the pool before anybody waits for Redis."""
        try:
            return await self._items.get(item_id, self._owner)
        finally:
            await self._items.release()

    def _listing(self, query: ItemList) -> bytes:
        """What a cursor is good for: whose items, which filters, which order; the page's size may change."""
        return orjson.dumps([self._owner, query.model_dump(exclude={"cursor", "limit"})], option=orjson.OPT_SORT_KEYS)

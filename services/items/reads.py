"""Reading one item: from the cache before FastAPI does anything for it, else by way of the endpoint."""

from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from services.common.bodies import JSON, JsonRoute
from services.common.schemas import Id
from services.items.cache import Found
from services.items.dependencies import check_owner, get_preconditions
from services.items.etags import Preconditions, etag
from services.items.exceptions import ItemChangedError
from services.items.service import may_serve, owner

# personal, and to be asked for again each time, which a 304 makes cheap (RFC 9111 5.2.2)
CACHE_CONTROL = {"Cache-Control": "private, no-cache"}
ITEM_ID = "item_id"

_ids: TypeAdapter[UUID] = TypeAdapter(Id)


class _AnsweredFromCache(APIRoute):
    """Of routes that read one item: a hit needs no session, no service and no model, which are most of its cost.

    What the cache has not, or may not serve this caller, goes on to the endpoint, which finds in `request.state.found`
    what the cache said: it is asked once a request, and whoever got a lease fills.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Ask the cache first; a request that is refused before has asked for nothing."""
        handle = super().get_route_handler()
        if self.methods != {"GET"} or ITEM_ID not in self.param_convertors:
            return handle

        async def answer_from_cache(request: Request) -> Response:
            try:
                item_id = _ids.validate_python(request.path_params[ITEM_ID])
            except ValidationError:
                return await handle(request)  # which says what is wrong with it
            principal = request.state.principal  # of GuardedRoute, which has checked the scopes as well
            check_owner(principal)
            if_match, if_none_match = map(request.headers.getlist, ("if-match", "if-none-match"))
            conditions = await get_preconditions(if_match or None, if_none_match or None)
            found: Found = await request.state.cache.find(item_id)
            if found.item is None or not may_serve(found, owner(principal)):
                request.state.found = found
                return await handle(request)
            return answer(found.item.version, found.body, conditions)

        return answer_from_cache


class ItemRoute(JsonRoute, _AnsweredFromCache):
    """Token and scopes first, then the cache where it can answer, then the body, strictly."""


def answer(version: int, body: bytes, conditions: Preconditions) -> Response:
    """An item as it is sent; 304 when If-None-Match names its version. Raises ItemChangedError for If-Match."""
    if not conditions.demands(version):
        raise ItemChangedError
    headers = {"ETag": etag(version), **CACHE_CONTROL}
    if conditions.knows(version):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=JSON)

"""The paths of items."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from services.common.bodies import (
    JSON,
    MERGE_PATCH,
    require_json,
    require_merge_patch,
    require_single_parameters,
)
from services.common.openapi import refusals
from services.common.schemas import Id
from services.common.security import require_scopes
from services.items.dependencies import ItemServiceDep, OnceDep, PreconditionsDep
from services.items.etags import etag
from services.items.idempotency import Answer
from services.items.reads import CACHE_CONTROL, ItemRoute, answer
from services.items.schemas import ItemList, ItemPage, ItemPatch, ItemRead, ItemWrite

TAG: dict[str, Any] = {"ETag": {"schema": {"type": "string"}, "description": "the item's version (RFC 9110 8.8.3)"}}
LOCATION: dict[str, Any] = {"Location": {"schema": {"type": "string"}, "description": "the item's path"}}
REPLAYED: dict[str, Any] = {
    "Idempotency-Replayed": {"schema": {"const": "true"}, "description": "the item was created by an earlier request"}
}
TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": TAG}}
ANYWHERE = refusals(400, 401, 403, 422, 503)
OF_ONE = refusals(404, 412)
OF_BODIES = refusals(413, 415)
ITEM_PATCH = "#/components/schemas/ItemPatch"

READ = require_scopes("items:read")
WRITE = require_scopes("items:write")

router = APIRouter(prefix="/v1/items", tags=["items"], responses=ANYWHERE, route_class=ItemRoute)


@router.post(
    "",
    status_code=201,
    dependencies=[WRITE, Depends(require_json)],
    response_model=ItemRead,
    responses={201: {"headers": TAG | LOCATION | REPLAYED}, **refusals(409), **OF_BODIES},
)
async def create_item(body: ItemWrite, items: ItemServiceDep, once: OnceDep, response: Response) -> ItemRead | Response:
    """Create an item that belongs to the caller. If-Match and If-None-Match, of items that exist, are ignored.

    With an Idempotency-Key it is safe to send again: 409 while the first request runs, 422 for another body.
    """
    if once is not None:
        answer = await items.create_once(body, once, created)
        replayed = {"Idempotency-Replayed": "true"} if answer.replayed else {}
        return Response(answer.body, answer.status, answer.headers | replayed, media_type=JSON)
    item = await items.create(body)
    response.headers["Location"] = path(item)
    return tagged(item, response)


@router.get("", dependencies=[READ, Depends(require_single_parameters)])
async def list_items(query: Annotated[ItemList, Query()], items: ItemServiceDep, response: Response) -> ItemPage:
    """List the caller's items, or everybody's for a caller who has the scope items:admin as well, page by page."""
    response.headers.update(CACHE_CONTROL)
    return await items.list(query)


@router.get(
    "/{item_id}",
    dependencies=[READ],
    response_model=ItemRead,
    responses={**TAGGED, 304: {"description": "Not modified", "headers": TAG}, **OF_ONE},
)
async def get_item(item_id: Id, items: ItemServiceDep, conditions: PreconditionsDep, request: Request) -> Response:
    """Read an item; 304 when If-None-Match names its version."""
    item = await items.get(item_id, request.state.found)
    return answer(item.version, item.model_dump_json().encode(), conditions)


@router.put("/{item_id}", dependencies=[WRITE, Depends(require_json)], responses={**TAGGED, **OF_ONE, **OF_BODIES})
async def replace_item(
    item_id: Id, body: ItemWrite, items: ItemServiceDep, conditions: PreconditionsDep, response: Response
) -> ItemRead:
    """Replace what a client decides about an item; it must exist: ids are given out by create."""
    return tagged(await items.replace(item_id, body, conditions), response)


@router.patch(
    "/{item_id}",
    dependencies=[WRITE, Depends(require_merge_patch)],
    responses={**TAGGED, **OF_ONE, **OF_BODIES},
    openapi_extra={"requestBody": {"content": {MERGE_PATCH: {"schema": {"$ref": ITEM_PATCH}}}}},
)
async def patch_item(
    item_id: Id, patch: ItemPatch, items: ItemServiceDep, conditions: PreconditionsDep, response: Response
) -> ItemRead:
    """Change some members by a merge patch; null puts back the default of description and tags."""
    return tagged(await items.patch(item_id, patch, conditions), response)


@router.delete("/{item_id}", status_code=204, dependencies=[WRITE], responses=OF_ONE)
async def delete_item(item_id: Id, items: ItemServiceDep, conditions: PreconditionsDep) -> None:
    """Delete an item."""
    await items.delete(item_id, conditions)


def created(item: ItemRead) -> Answer:
    """The answer to a create, as it is kept."""
    headers = {"Location": path(item), "ETag": etag(item.version), **CACHE_CONTROL}
    return Answer(201, headers, item.model_dump_json().encode())


def path(item: ItemRead) -> str:
    """Where an item is."""
    return f"/v1/items/{item.id}"


def tagged(item: ItemRead, response: Response) -> ItemRead:
    """Say the item's entity tag on the answer."""
    response.headers.update({"ETag": etag(item.version), **CACHE_CONTROL})
    return item

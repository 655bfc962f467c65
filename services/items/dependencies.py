"""What the endpoints of items ask for."""

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError

from services.common.exceptions import ForbiddenError
from services.common.postgres import SessionDep
from services.common.security import CurrentPrincipal, GuardedRoute
from services.items.etags import Preconditions, Tags
from services.items.exceptions import UnsupportedMediaTypeError
from services.items.models import OWNER_MAX
from services.items.repository import ItemRepository
from services.items.service import ItemService

MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"


class JsonRequest(Request):
    """Reads JSON in UTF-8 only (RFC 8259 8.1) whose objects name each member once (section 4)."""

    async def json(self) -> Any:
        """The body. Raises HTTPException, the only class that FastAPI passes on, and JSONDecodeError."""
        try:
            text = (await self.body()).decode()
        except UnicodeDecodeError:
            raise HTTPException(400, "The body must be JSON in UTF-8") from None
        return json.loads(text, object_pairs_hook=_each_once)


class ItemRoute(GuardedRoute):
    """Token and scopes first, then the body, strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand the request on as one that is read strictly."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_strictly


# all of these are `async def`: FastAPI runs a plain function in a thread, which costs several times the call


async def get_item_service(request: Request, session: SessionDep, principal: CurrentPrincipal) -> ItemService:
    """Build the service of one caller; its session takes a connection only when first asked something."""
    if len(principal.subject) > OWNER_MAX:
        raise ForbiddenError(f"A subject of more than {OWNER_MAX} characters can own nothing here.")
    return ItemService(
        items=ItemRepository(session),
        cache=request.state.cache,
        cursors=request.state.cursors,
        principal=principal,
    )


async def get_preconditions(
    if_match: Annotated[list[str] | None, Header(description="entity tags or *: else 412 (RFC 9110 13.1.1)")] = None,
    if_none_match: Annotated[
        list[str] | None, Header(description="entity tags or *: then 304, of a write 412 (RFC 9110 13.1.2)")
    ] = None,
) -> Preconditions:
    """Read the conditions of the request; 400 for a header that is no list of entity tags."""
    return Preconditions(
        if_match=None if if_match is None else Tags.parse("If-Match", if_match),
        if_none_match=None if if_none_match is None else Tags.parse("If-None-Match", if_none_match),
    )


async def require_json(request: Request) -> None:
    """Refuse bodies that do not say they are JSON."""
    _require_type(request, JSON, headers={"Accept": JSON})


async def require_merge_patch(request: Request) -> None:
    """Refuse bodies that are no merge patch; plain JSON is read as one (RFC 7396, RFC 5789 2.2)."""
    _require_type(request, MERGE_PATCH, JSON, headers={"Accept-Patch": f"{MERGE_PATCH}, {JSON}"})


async def require_single_parameters(request: Request) -> None:
    """Refuse a query that names a parameter twice: which of the two counts would be anybody's guess."""
    names = [name for name, _ in request.query_params.multi_items()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        errors = [{"type": "repeated", "loc": ("query", name), "msg": "must be given once"} for name in twice]
        raise RequestValidationError(errors)


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise HTTPException(400, "An object in the body names the same member twice")
    return found


def _require_type(request: Request, *accepted: str, headers: dict[str, str]) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in accepted:
        raise UnsupportedMediaTypeError(f"Content-Type must be {' or '.join(accepted)}.", headers=headers)


ItemServiceDep = Annotated[ItemService, Depends(get_item_service)]
PreconditionsDep = Annotated[Preconditions, Depends(get_preconditions)]

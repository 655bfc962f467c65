"""What the endpoints of items ask for."""

from typing import Annotated

from fastapi import Depends, Header, Request

from services.common.exceptions import ForbiddenError
from services.common.postgres import SessionDep
from services.common.security import CurrentPrincipal
from services.items.etags import Preconditions, Tags
from services.items.exceptions import UnsupportedMediaTypeError
from services.items.models import OWNER_MAX
from services.items.repository import ItemRepository
from services.items.service import ItemService

MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"


def get_item_service(request: Request, session: SessionDep, principal: CurrentPrincipal) -> ItemService:
    """Build the service of one caller; its session takes a connection only when first asked something."""
    if len(principal.subject) > OWNER_MAX:
        raise ForbiddenError(f"A subject of more than {OWNER_MAX} characters can own nothing here.")
    return ItemService(
        items=ItemRepository(session),
        cache=request.state.cache,
        cursors=request.state.cursors,
        principal=principal,
    )


def get_preconditions(
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


def require_json(request: Request) -> None:
    """Refuse bodies that do not say they are JSON."""
    _require_type(request, JSON, headers={"Accept": JSON})


def require_merge_patch(request: Request) -> None:
    """Refuse bodies that are no merge patch; plain JSON is read as one (RFC 7396, RFC 5789 2.2)."""
    _require_type(request, MERGE_PATCH, JSON, headers={"Accept-Patch": f"{MERGE_PATCH}, {JSON}"})


def _require_type(request: Request, *accepted: str, headers: dict[str, str]) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in accepted:
        raise UnsupportedMediaTypeError(f"Content-Type must be {' or '.join(accepted)}.", headers=headers)


ItemServiceDep = Annotated[ItemService, Depends(get_item_service)]
PreconditionsDep = Annotated[Preconditions, Depends(get_preconditions)]

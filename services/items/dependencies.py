"""What the endpoints of items ask for."""

from typing import Annotated

from fastapi import Depends, Header, Request

from services.common.exceptions import ForbiddenError
from services.common.postgres import SessionDep
from services.common.security import CurrentPrincipal, Principal
from services.items.etags import Preconditions, Tags
from services.items.idempotency import Once, read_key
from services.items.models import OWNER_MAX
from services.items.repository import ItemRepository
from services.items.service import ItemService

# all of these are `async def`: FastAPI runs a plain function in a thread, which costs several times the call


async def get_item_service(request: Request, session: SessionDep, principal: CurrentPrincipal) -> ItemService:
    """Build the service of one caller; its session takes a connection only when first asked something."""
    check_owner(principal)
    return ItemService(
        items=ItemRepository(session),
        cache=request.state.cache,
        cursors=request.state.cursors,
        principal=principal,
    )


def check_owner(principal: Principal) -> None:
    """Refuse who can own nothing. Raises ForbiddenError."""
    if len(principal.subject) > OWNER_MAX:
        raise ForbiddenError(f"A subject of more than {OWNER_MAX} characters can own nothing here.")


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


async def get_once(
    request: Request,
    principal: CurrentPrincipal,
    idempotency_key: Annotated[
        list[str] | None,
        Header(
            description="1 to 255 printable ASCII characters, new for each item; with the same key a request that is"
            " sent again within 24 hours gets the first one's answer"
        ),
    ] = None,
) -> Once | None:
    """Read the key of the request; 400 for one that is none."""
    return None if idempotency_key is None else read_key(idempotency_key, principal, await request.body())


ItemServiceDep = Annotated[ItemService, Depends(get_item_service)]
PreconditionsDep = Annotated[Preconditions, Depends(get_preconditions)]
OnceDep = Annotated[Once | None, Depends(get_once)]

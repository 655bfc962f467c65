"""The paths of clients, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.auth.audit.dependencies import OriginDep
from services.auth.clients.models import ID_MAX
from services.auth.clients.repository import ClientRepository
from services.auth.clients.schemas import (
    ClientList,
    ClientPage,
    ClientPatch,
    ClientRead,
    ClientWithSecret,
    ClientWrite,
)
from services.auth.clients.service import Actor, ClientService
from services.common.bodies import MERGE_PATCH, JsonRoute, require_json, require_merge_patch, require_single_parameters
from services.common.openapi import refusals
from services.common.postgres import SessionDep
from services.common.schemas import Text
from services.common.security import CurrentPrincipal, require_scopes

READ = require_scopes("users:read")
ADMIN = require_scopes("users:admin")
OF_ONE, OF_BODIES = refusals(404), refusals(409, 413, 415)


async def never_kept(response: Response) -> None:
    """Some of the answers hold a secret, and none is anybody else's."""
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(
    prefix="/v1/clients",
    tags=["clients"],
    responses=refusals(400, 401, 403, 422, 503),
    route_class=JsonRoute,
    dependencies=[Depends(never_kept)],
)


async def get_client_service(
    request: Request, session: SessionDep, principal: CurrentPrincipal, origin: OriginDep
) -> ClientService:
    """The clients as the caller may change them."""
    actor = Actor(principal.subject, principal.scopes, principal.client_id)
    return ClientService(ClientRepository(session), actor, origin, revoked=request.state.publisher.wake)


ClientServiceDep = Annotated[ClientService, Depends(get_client_service)]
PathId = Annotated[Text, Path(max_length=ID_MAX)]


@router.post("", status_code=201, dependencies=[ADMIN, Depends(require_json)], responses=OF_BODIES)
async def create_client(body: ClientWrite, clients: ClientServiceDep, response: Response) -> ClientWithSecret:
    """Register a client. Its secret is in this answer and never again."""
    created = await clients.create(body)
    response.headers["Location"] = f"/v1/clients/{created.id}"
    return created


@router.get("", dependencies=[READ, Depends(require_single_parameters)])
async def list_clients(query: Annotated[ClientList, Query()], clients: ClientServiceDep) -> ClientPage:
    """List clients by their ids, page by page."""
    items, more = await clients.list(query.cursor, query.limit)
    return ClientPage(items=[*items], next_cursor=items[-1].id if more else None)


@router.get("/{client_id}", dependencies=[READ], responses=OF_ONE)
async def get_client(client_id: PathId, clients: ClientServiceDep) -> ClientRead:
    """Read a client."""
    return await clients.get(client_id)


@router.patch(
    "/{client_id}",
    dependencies=[ADMIN, Depends(require_merge_patch)],
    responses={**OF_ONE, **OF_BODIES},
    openapi_extra={"requestBody": {"content": {MERGE_PATCH: {"schema": {"$ref": "#/components/schemas/ClientPatch"}}}}},
)
async def change_client(client_id: PathId, patch: ClientPatch, clients: ClientServiceDep) -> ClientRead:
    """Change some members by a merge patch. Where a right is taken away, the client's tokens are refused at once."""
    return await clients.change(client_id, patch)


@router.post("/{client_id}/secret", dependencies=[ADMIN], responses=refusals(404, 409))
async def rotate_secret(client_id: PathId, clients: ClientServiceDep) -> ClientWithSecret:
    """Give the client another secret. The one before, and the client's tokens, are refused at once."""
    return await clients.rotate_secret(client_id)


@router.post("/{client_id}/disable", dependencies=[ADMIN], responses=OF_ONE)
async def disable_client(client_id: PathId, clients: ClientServiceDep) -> ClientRead:
    """Switch a client off. Its tokens are refused at once."""
    return await clients.disable(client_id)


@router.post("/{client_id}/enable", dependencies=[ADMIN], responses=OF_ONE)
async def enable_client(client_id: PathId, clients: ClientServiceDep) -> ClientRead:
    """Switch a client on again."""
    return await clients.enable(client_id)


@router.delete("/{client_id}", status_code=204, dependencies=[ADMIN], responses=OF_ONE)
async def delete_client(client_id: PathId, clients: ClientServiceDep) -> None:
    """Remove a client and all that people granted it. Its tokens are refused at once."""
    await clients.delete(client_id)

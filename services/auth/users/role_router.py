"""The paths of roles, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from services.auth.users.dependencies import RoleAdministrationDep, never_kept
from services.auth.users.schemas import ROLE, RoleList, RoleRead, RoleWrite
from services.common.bodies import JsonRoute, require_json
from services.common.openapi import refusals
from services.common.security import require_scopes

READ = require_scopes("users:read")
ADMIN = require_scopes("users:admin")
Name = Annotated[str, Path(pattern=ROLE)]

router = APIRouter(
    prefix="/v1/roles",
    tags=["roles"],
    responses=refusals(400, 401, 403, 422, 503),
    route_class=JsonRoute,
    dependencies=[Depends(never_kept)],
)


@router.get("", dependencies=[READ])
async def list_roles(roles: RoleAdministrationDep) -> RoleList:
    """List all roles."""
    return await roles.all()


@router.put("/{name}", dependencies=[ADMIN, Depends(require_json)], responses=refusals(409, 413, 415))
async def put_role(name: Name, body: RoleWrite, roles: RoleAdministrationDep) -> RoleRead:
    """Have a role be this. Where it loses a scope, the tokens of whoever has it are refused at once."""
    return await roles.put(name, body.description, body.scopes)


@router.delete("/{name}", status_code=204, dependencies=[ADMIN], responses=refusals(404, 409))
async def delete_role(name: Name, roles: RoleAdministrationDep) -> None:
    """Forget a role; the tokens of whoever has it are refused at once."""
    await roles.delete(name)

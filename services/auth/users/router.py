"""The paths of users, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.auth.users.dependencies import PasswordsDep, UserAdministrationDep, never_kept
from services.auth.users.schemas import (
    OneTimePassword,
    UserCreated,
    UserList,
    UserPage,
    UserPatch,
    UserRead,
    UserRoles,
    UserWrite,
)
from services.common.bodies import MERGE_PATCH, JsonRoute, require_json, require_merge_patch, require_single_parameters
from services.common.openapi import refusals
from services.common.schemas import Id
from services.common.security import require_scopes

READ = require_scopes("users:read")
ADMIN = require_scopes("users:admin")
OF_ONE, OF_BODIES = refusals(404), refusals(409, 413, 415)
USER_PATCH = "#/components/schemas/UserPatch"

router = APIRouter(
    prefix="/v1/users",
    tags=["users"],
    responses=refusals(400, 401, 403, 422, 503),
    route_class=JsonRoute,
    dependencies=[Depends(never_kept)],
)


@router.post("", status_code=201, dependencies=[ADMIN, Depends(require_json)], responses=OF_BODIES)
async def create_user(
    body: UserWrite, users: UserAdministrationDep, passwords: PasswordsDep, response: Response
) -> UserCreated:
    """Make a user. The one-time password that they begin with is in this answer and never again."""
    created = await users.create(body.email, body.name, body.roles, passwords)
    response.headers["Location"] = f"/v1/users/{created.id}"
    return created


@router.get("", dependencies=[READ, Depends(require_single_parameters)])
async def list_users(query: Annotated[UserList, Query()], users: UserAdministrationDep) -> UserPage:
    """List users in the order in which they came, page by page."""
    return await users.page(query.cursor, query.limit)


@router.get("/{user_id}", dependencies=[READ], responses=OF_ONE)
async def get_user(user_id: Id, users: UserAdministrationDep) -> UserRead:
    """Read a user."""
    return await users.read(user_id)


@router.patch(
    "/{user_id}",
    dependencies=[ADMIN, Depends(require_merge_patch)],
    responses={**OF_ONE, **OF_BODIES},
    openapi_extra={"requestBody": {"content": {MERGE_PATCH: {"schema": {"$ref": USER_PATCH}}}}},
)
async def patch_user(user_id: Id, patch: UserPatch, users: UserAdministrationDep) -> UserRead:
    """Change the name by a merge patch."""
    return await users.rename(user_id, patch.get("name"))


@router.delete("/{user_id}", status_code=204, dependencies=[ADMIN], responses=refusals(404, 409))
async def delete_user(user_id: Id, users: UserAdministrationDep) -> None:
    """Forget a user; their tokens are refused at once."""
    await users.delete(user_id)


@router.post("/{user_id}/disable", dependencies=[ADMIN], responses=refusals(404, 409))
async def disable_user(user_id: Id, users: UserAdministrationDep) -> UserRead:
    """Keep a user out. Their sessions end, and their tokens are refused at once."""
    return await users.disable(user_id)


@router.post("/{user_id}/enable", dependencies=[ADMIN], responses=OF_ONE)
async def enable_user(user_id: Id, users: UserAdministrationDep) -> UserRead:
    """Let a user in again."""
    return await users.enable(user_id)


@router.put("/{user_id}/roles", dependencies=[ADMIN, Depends(require_json)], responses={**OF_ONE, **OF_BODIES})
async def put_roles(user_id: Id, body: UserRoles, users: UserAdministrationDep) -> UserRead:
    """Have a user hold these roles and no other; their tokens of before are refused at once."""
    return await users.set_roles(user_id, body.roles)


@router.post("/{user_id}/one-time-password", dependencies=[ADMIN], responses=OF_ONE)
async def make_one_time_password(user_id: Id, users: UserAdministrationDep, passwords: PasswordsDep) -> OneTimePassword:
    """Put a one-time password in place of a user's own. It is in this answer and never again."""
    return await users.one_time_password(user_id, passwords)


@router.post("/{user_id}/sign-out", status_code=204, dependencies=[ADMIN], responses=OF_ONE)
async def sign_out_user(user_id: Id, users: UserAdministrationDep) -> None:
    """End a user's sessions everywhere; their tokens are refused at once."""
    await users.sign_out(user_id)

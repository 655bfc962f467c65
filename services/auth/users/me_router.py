"""The paths of the person who asks."""

from fastapi import APIRouter, Depends

from services.auth.audit.dependencies import OriginDep
from services.auth.users.dependencies import AccountServiceDep, PersonDep, never_kept
from services.auth.users.schemas import Ended, SessionList, UserRead
from services.common.bodies import JsonRoute
from services.common.openapi import refusals
from services.common.schemas import Id
from services.common.security import CurrentPrincipal, require_scopes

SELF = require_scopes("users:self")
OF_ONE = refusals(404)

router = APIRouter(
    prefix="/v1/users/me",
    tags=["me"],
    responses=refusals(400, 401, 403, 422, 503),
    route_class=JsonRoute,
    dependencies=[Depends(never_kept)],
)


@router.get("", dependencies=[SELF], responses=OF_ONE)
async def get_me(person: PersonDep, accounts: AccountServiceDep) -> UserRead:
    """Read who you are here."""
    return await accounts.profile(person)


@router.get("/sessions", dependencies=[SELF])
async def list_my_sessions(person: PersonDep, principal: CurrentPrincipal, accounts: AccountServiceDep) -> SessionList:
    """List where you are signed in."""
    return await accounts.sessions(person, principal.session_id)


@router.delete("/sessions", dependencies=[SELF])
async def end_my_other_sessions(
    person: PersonDep, principal: CurrentPrincipal, accounts: AccountServiceDep, origin: OriginDep
) -> Ended:
    """Sign out everywhere else: all of your sessions end but the one that the token came from."""
    return Ended(ended=await accounts.end_other_sessions(person, principal.session_id, origin))


@router.delete("/sessions/{session_id}", status_code=204, dependencies=[SELF], responses=OF_ONE)
async def end_my_session(session_id: Id, person: PersonDep, accounts: AccountServiceDep, origin: OriginDep) -> None:
    """End one of your sessions; its tokens are refused at once."""
    await accounts.end_session(person, session_id, origin)

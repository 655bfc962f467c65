"""What endpoints and pages about people ask for."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response

from services.auth.audit.actor import Actor
from services.auth.audit.dependencies import OriginDep
from services.auth.users.exceptions import NotAPersonError
from services.auth.users.passwords import PasswordHasher
from services.auth.users.role_administration import RoleAdministration
from services.auth.users.service import AccountService
from services.auth.users.user_administration import UserAdministration
from services.common.postgres import SessionDep
from services.common.security import CurrentPrincipal

# all of these are `async def`: FastAPI runs a plain function in a thread, which costs several times the call


async def never_kept(response: Response) -> None:
    """Some of the answers hold a password, and none is anybody else's."""
    response.headers["Cache-Control"] = "no-store"


async def get_account_service(request: Request, session: SessionDep) -> AccountService:
    """Build the service; its session takes a connection only when first asked something."""
    state = request.state
    return AccountService(
        session,
        state.settings,
        passwords=state.passwords,
        limits=state.limits,
        outbox=state.outbox,
        sealer=state.sealer,
        wake=state.publisher.wake,
        metrics=state.metrics,
    )


async def get_actor(principal: CurrentPrincipal) -> Actor:
    """Who administers."""
    return Actor(principal.subject, principal.scopes, principal.client_id)


async def get_user_administration(
    request: Request, session: SessionDep, origin: OriginDep, actor: Annotated[Actor, Depends(get_actor)]
) -> UserAdministration:
    """The users as the caller may change them."""
    return UserAdministration(session, request.state.settings, actor, origin, wake=request.state.publisher.wake)


async def get_role_administration(
    request: Request, session: SessionDep, origin: OriginDep, actor: Annotated[Actor, Depends(get_actor)]
) -> RoleAdministration:
    """The roles as the caller may change them."""
    return RoleAdministration(session, request.state.settings, actor, origin, wake=request.state.publisher.wake)


async def get_passwords(request: Request) -> PasswordHasher:
    """The threads that hash passwords."""
    passwords: PasswordHasher = request.state.passwords
    return passwords


async def get_person(principal: CurrentPrincipal) -> UUID:
    """Whose token it is. Raises NotAPersonError for a client's own."""
    try:
        return UUID(principal.subject)
    except ValueError:
        raise NotAPersonError from None


AccountServiceDep = Annotated[AccountService, Depends(get_account_service)]
UserAdministrationDep = Annotated[UserAdministration, Depends(get_user_administration)]
RoleAdministrationDep = Annotated[RoleAdministration, Depends(get_role_administration)]
PasswordsDep = Annotated[PasswordHasher, Depends(get_passwords)]
PersonDep = Annotated[UUID, Depends(get_person)]

"""What endpoints and pages about people ask for."""

from typing import Annotated

from fastapi import Depends, Request

from services.auth.users.service import AccountService
from services.common.postgres import SessionDep


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
    )


AccountServiceDep = Annotated[AccountService, Depends(get_account_service)]

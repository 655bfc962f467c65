"""Where a request comes from, as endpoints ask for it."""

from typing import Annotated

from fastapi import Depends, Request

from services.auth.audit.record import Origin


async def get_origin(request: Request) -> Origin:
    """From where the caller acts, for the audit log."""
    return Origin(
        address=request.state.client_address,
        user_agent=request.headers.get("user-agent"),
        request_id=request.state.request_id,
    )


OriginDep = Annotated[Origin, Depends(get_origin)]

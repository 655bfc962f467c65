"""Who is asking, and may they: dependencies over the Authorization header (RFC 6750 2.1)."""

from typing import Annotated, Any

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from services.common.exceptions import ForbiddenError, UnauthenticatedError
from services.common.tokens import Principal

__all__ = ["CurrentPrincipal", "Principal", "require_scopes"]

bearer = HTTPBearer(bearerFormat="JWT", auto_error=False, description="An access token of auth (RFC 9068)")


async def get_principal(request: Request, _: Annotated[Any, Security(bearer)]) -> Principal:
    """The caller, or 401. Reads `token_verifier` of the lifespan's state."""
    values = request.headers.getlist("authorization")
    scheme, _, token = (values[0] if values else "").partition(" ")
    if len(values) != 1 or scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("Send one header `Authorization: Bearer <access token>`")
    principal: Principal = await request.state.token_verifier.verify(token.strip())
    structlog.contextvars.bind_contextvars(subject=principal.subject)
    return principal


CurrentPrincipal = Annotated[Principal, Depends(get_principal)]


def require_scopes(*scopes: str) -> Any:
    """A dependency that refuses callers without all of these scopes: 403, naming what is needed (RFC 6750 3.1)."""
    needed = frozenset(scopes)
    words = " ".join(scopes)

    async def check(principal: CurrentPrincipal) -> Principal:
        if not needed <= principal.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{words}"'
            raise ForbiddenError(f"This needs the scope {words}", headers={"WWW-Authenticate": challenge})
        return principal

    return Depends(check)

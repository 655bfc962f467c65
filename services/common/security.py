"""Who is asking, and may they: dependencies over the Authorization header (RFC 6750 2.1)."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from services.common.exceptions import ForbiddenError, UnauthenticatedError
from services.common.tokens import Principal

__all__ = ["CurrentPrincipal", "GuardedRoute", "Principal", "require_scopes"]

bearer = HTTPBearer(bearerFormat="JWT", auto_error=False, description="An access token of auth (RFC 9068)")


async def get_principal(request: Request, _: Annotated[Any, Security(bearer)]) -> Principal:
    """The caller, or 401. Reads `token_verifier` of the lifespan's state; a request is asked once."""
    known: Principal | None = getattr(request.state, "principal", None)
    return known or await _authenticate(request)


async def _authenticate(request: Request) -> Principal:
    values = request.headers.getlist("authorization")
    scheme, _, token = (values[0] if values else "").partition(" ")
    if len(values) != 1 or scheme.lower() != "bearer" or not token.strip(" "):
        raise UnauthenticatedError("Send one header `Authorization: Bearer <access token>`")
    principal: Principal = await request.state.token_verifier.verify(token.strip(" "))
    structlog.contextvars.bind_contextvars(subject=principal.subject)
    request.state.principal = principal
    return principal


CurrentPrincipal = Annotated[Principal, Depends(get_principal)]


class RequiredScopes:
    """Refuses callers without all of these scopes: 403, naming what is needed (RFC 6750 3.1)."""

    def __init__(self, *scopes: str) -> None:
        """Take what is needed."""
        self.scopes = frozenset(scopes)
        self._words = " ".join(scopes)

    async def __call__(self, principal: CurrentPrincipal) -> Principal:
        """The caller, when they may."""
        if not self.scopes <= principal.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{self._words}"'
            raise ForbiddenError(f"This needs the scope {self._words}", headers={"WWW-Authenticate": challenge})
        return principal


def require_scopes(*scopes: str) -> Any:
    """A dependency that refuses callers without all of these scopes."""
    return Depends(RequiredScopes(*scopes))


class GuardedRoute(APIRoute):
    """A route, for callers with a token only, that reads nothing of a body before it knows that they may send it.

    FastAPI by itself reads and parses the body before it asks any dependency.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Check the token, then the `require_scopes` among the route's dependencies, then go on as usual."""
        handle = super().get_route_handler()
        rules = [d.dependency for d in self.dependencies if isinstance(d.dependency, RequiredScopes)]

        async def guarded(request: Request) -> Response:
            principal = await get_principal(request, None)
            for rule in rules:
                await rule(principal)
            return await handle(request)

        return guarded

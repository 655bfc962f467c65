"""What a sign-in is for, and where its forms may lead to because of that."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.auth.oauth.authorization import AuthorizationService, parameters_of
from services.auth.oauth.dependencies import AuthorizationServiceDep
from services.auth.oauth.exceptions import OAuthPageError
from services.auth.pages.continuing import ACCOUNT, continued, is_too_long, source


@dataclass(frozen=True, slots=True)
class Goal:
    """The page to go on to; for a client's request also its name, its target for `form-action`, and whom it expects."""

    path: str
    client: str | None = None
    to: str | None = None
    login_hint: str = ""


class Goals:
    """Reads them. Raises OAuthPageError where the client or its address is not registered: people see it at once."""

    def __init__(self, request: Request, authorization: AuthorizationService) -> None:
        self._request = request
        self._authorization = authorization

    def asked(self) -> str | None:
        """What the form names, shown again or not, or else the address."""
        typed: dict[str, str] = getattr(self._request.state, "typed", {})
        return typed.get("continue") or self._request.query_params.get("continue")

    async def of(self, wanted: str | None) -> Goal:
        """A goal that is one of ours, else the account."""
        if is_too_long(wanted):
            raise OAuthPageError("The application has sent more than can be kept while you sign in.")
        path = continued(wanted)
        if path == ACCOUNT:
            return Goal(path)
        parameters = parameters_of(path)
        client, redirect_uri = await self._authorization.target(parameters)
        return Goal(path, client.name, source(redirect_uri), parameters.get("login_hint") or "")


async def get_goals(request: Request, authorization: AuthorizationServiceDep) -> Goals:
    """Goals of this request."""
    return Goals(request, authorization)


GoalsDep = Annotated[Goals, Depends(get_goals)]

"""What the endpoints of OAuth ask for."""

from typing import Annotated

from fastapi import Depends, Request

from services.auth.dependencies import OriginDep
from services.auth.oauth.requests import OAuthRequest, read_form
from services.auth.oauth.service import OAuthService
from services.common.postgres import SessionDep


async def get_oauth_service(request: Request, session: SessionDep, origin: OriginDep) -> OAuthService:
    """Build the service; its session takes a connection only when first asked something."""
    state = request.state
    return OAuthService(
        session, state.tokens, state.settings, origin, limits=state.limits, revoked=state.publisher.wake
    )


async def get_posted(request: Request) -> OAuthRequest:
    """The form in the body, as Authlib reads it. Raises OAuth2Error."""
    return OAuthRequest("POST", await read_form(request), request.headers)


OAuthServiceDep = Annotated[OAuthService, Depends(get_oauth_service)]
PostedDep = Annotated[OAuthRequest, Depends(get_posted)]

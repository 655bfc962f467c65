"""What the endpoints of OAuth ask for."""

from typing import Annotated

from fastapi import Depends, Request

from services.auth.audit.dependencies import OriginDep
from services.auth.oauth.authorization import AuthorizationService
from services.auth.oauth.consents import ConsentService
from services.auth.oauth.logout import LogoutService
from services.auth.oauth.requests import OAuthRequest, read_form
from services.auth.oauth.service import OAuthService
from services.auth.sessions.cookies import COOKIE
from services.auth.sessions.models import UserSession
from services.auth.sessions.service import SessionService
from services.common.postgres import SessionDep
from services.common.security import CurrentPrincipal


async def get_oauth_service(request: Request, session: SessionDep, origin: OriginDep) -> OAuthService:
    """Build the service; its session takes a connection only when first asked something."""
    state = request.state
    return OAuthService(
        session,
        state.tokens,
        state.settings,
        origin,
        limits=state.limits,
        revoked=state.publisher.wake,
        metrics=state.metrics,
    )


async def get_posted(request: Request) -> OAuthRequest:
    """The form in the body, as Authlib reads it. Raises OAuth2Error."""
    return OAuthRequest("POST", await read_form(request), request.headers)


async def get_authorization_service(request: Request, session: SessionDep, origin: OriginDep) -> AuthorizationService:
    """Build the service that decides about authorization requests; pages ask for it too."""
    return AuthorizationService(session, request.state.tokens, request.state.settings, origin)


async def get_logout_service(request: Request, session: SessionDep, origin: OriginDep) -> LogoutService:
    """Build the service that signs people out."""
    state = request.state
    return LogoutService(session, state.tokens, state.settings, origin, revoked=state.publisher.wake)


async def get_consent_service(request: Request, session: SessionDep, origin: OriginDep) -> ConsentService:
    """Build the service for what people have allowed; pages ask for it."""
    return ConsentService(session, origin, revoked=request.state.publisher.wake)


async def get_user_session(request: Request, session: SessionDep) -> UserSession | None:
    """The session of the browser that asks, or None."""
    value = request.cookies.get(COOKIE)
    return None if value is None else await SessionService(session, request.state.settings).find(value)


async def get_bearer_token(request: Request, _: CurrentPrincipal) -> str:
    """The access token in the header, believed as at every other path; what else is asked of it comes after."""
    return request.headers["authorization"].partition(" ")[2].strip()


OAuthServiceDep = Annotated[OAuthService, Depends(get_oauth_service)]
PostedDep = Annotated[OAuthRequest, Depends(get_posted)]
AuthorizationServiceDep = Annotated[AuthorizationService, Depends(get_authorization_service)]
ConsentServiceDep = Annotated[ConsentService, Depends(get_consent_service)]
LogoutServiceDep = Annotated[LogoutService, Depends(get_logout_service)]
UserSessionDep = Annotated[UserSession | None, Depends(get_user_session)]
BearerTokenDep = Annotated[str, Depends(get_bearer_token)]

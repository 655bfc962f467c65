"""The development issuer on one screen."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from services.common.app import create_service
from services.issuer.router import router
from services.issuer.settings import IssuerSettings
from services.issuer.tokens import TokenSigner


class State(TypedDict):
    """What requests find in `request.state`."""

    signer: TokenSigner
    readiness_checks: dict[str, Callable[[], Awaitable[None]]]


def create_app(settings: IssuerSettings | None = None) -> FastAPI:
    """The application; `settings` are read from the environment unless given."""
    settings = settings or IssuerSettings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
        signer = TokenSigner(settings.issuer, settings.audience, settings.token_lifetime_seconds)
        yield {"signer": signer, "readiness_checks": {}}

    return create_service(settings, title="Slipway development issuer", routers=[router], lifespan=lifespan)

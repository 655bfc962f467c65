"""The sample service with an issuer's tokens, so that an operator can be somebody."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from services.common.management import ManagementServer
from services.common.settings import TokenSettings
from services.common.tokens import open_token_verifier
from tests.common.sample.main import SampleSettings, create_app
from tests.support.tokens import Issuer, KeyServer

OPERATE = "platform:operate"


def operated(issuer: Issuer, jwks: KeyServer, **settings: Any) -> FastAPI:
    """The application; its operators are those of the issuer."""
    tokens = TokenSettings(issuer=issuer.issuer, audience=issuer.audience, jwks_url=jwks.url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with open_token_verifier(tokens, app.state.registry) as verifier:
            yield {"token_verifier": verifier}

    return create_app(SampleSettings(**settings), lifespan)


def management(app: FastAPI) -> ManagementServer:
    """Its management port, on a free one."""
    return ManagementServer(
        ("127.0.0.1", 0),
        health=app.state.health,
        registry=app.state.registry,
        liveness_seconds=30,
        operations=app.state.operations,
    )

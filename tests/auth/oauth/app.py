"""The application with a signing key of the tests' own."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import RSAKey

from services.auth.oauth.router import discovery, router
from services.auth.oauth.tokens import Tokens
from services.auth.settings import AuthSettings
from services.auth.users.limits import SignInLimits
from services.common.app import create_service
from services.common.postgres import open_postgres, session_maker
from services.common.redis import open_redis


@dataclass
class Signer:
    """One RSA key behind the key ring's interface."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "tests", "use": "sig"}))

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        header = {"alg": "RS256", "typ": typ, "kid": "tests"}
        return jwt.encode(header, dict(claims), self.key, algorithms=["RS256"])

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False)]}


@dataclass
class Publisher:
    """Counts how often it was woken."""

    woken: int = 0

    def wake(self) -> None:
        self.woken += 1


@dataclass
class OAuthApp:
    asgi: FastAPI
    signer: Signer
    publisher: Publisher


def create_oauth_app(settings: AuthSettings, signer: Signer | None = None) -> OAuthApp:
    """One replica; those that share a signer share their tokens."""
    signer, publisher = signer or Signer(), Publisher()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(open_postgres(settings, app.state.registry))
            redis = await stack.enter_async_context(open_redis(settings.state_url))
            yield {
                "settings": settings,
                "session_maker": session_maker(engine),
                "tokens": Tokens(settings, signer),
                "limits": SignInLimits(redis, settings, app.state.registry),
                "publisher": publisher,
                "readiness_checks": {},
            }

    asgi = create_service(settings, title="Slipway auth", routers=[router, discovery], lifespan=lifespan)
    return OAuthApp(asgi, signer, publisher)

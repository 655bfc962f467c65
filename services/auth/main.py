"""Auth on one screen: settings, resources, routers."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from typing import TypedDict

from fastapi import FastAPI
from redis.asyncio import Redis
from starlette.middleware import Middleware

from services.auth.audit.router import router as audit_router
from services.auth.audit.sealing import open_sealing
from services.auth.clients.router import router as clients_router
from services.auth.keys.ring import KeyRing, open_key_ring
from services.auth.keys.router import router as keys_router
from services.auth.metrics import AuthMetrics
from services.auth.oauth.router import discovery as discovery_router
from services.auth.oauth.router import router as oauth_router
from services.auth.oauth.tokens import Tokens
from services.auth.pages.errors import PageOfLastResort, add_page_errors
from services.auth.pages.router import router as pages_router
from services.auth.retention.backlog import backlog
from services.auth.retention.gauges import open_maintenance_gauges
from services.auth.revocations.publisher import Publisher, open_publisher
from services.auth.sealing import Sealer
from services.auth.settings import AuthSettings
from services.auth.users.limits import SignInLimits
from services.auth.users.mail import Outbox, make_mailer, open_outbox
from services.auth.users.me_router import router as me_router
from services.auth.users.passwords import PasswordHasher
from services.auth.users.role_router import router as roles_router
from services.auth.users.router import router as users_router
from services.common.app import create_service
from services.common.following import open_revocations
from services.common.migrations import head
from services.common.polled import polled
from services.common.postgres import SessionMaker, check_migrated, open_postgres, session_maker
from services.common.redis import open_redis
from services.common.tokens import TokenVerifier

MIGRATIONS = "services.auth.migrations"


class State(TypedDict):
    """What requests find in `request.state`."""

    settings: AuthSettings
    session_maker: SessionMaker
    redis: Redis
    key_ring: KeyRing
    tokens: Tokens
    limits: SignInLimits
    passwords: PasswordHasher
    outbox: Outbox
    sealer: Sealer
    publisher: Publisher
    metrics: AuthMetrics
    token_verifier: TokenVerifier
    readiness_checks: dict[str, Callable[[], Awaitable[object]]]


def create_app(settings: AuthSettings | None = None) -> FastAPI:
    """Build the application; `settings` are read from the environment unless given."""
    settings = settings or AuthSettings()
    revision = head(MIGRATIONS)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
        async with AsyncExitStack() as stack:
            registry = app.state.registry
            engine = await stack.enter_async_context(open_postgres(settings, registry))
            redis = await stack.enter_async_context(open_redis(settings.state_url))
            sessions = session_maker(engine)
            ring = await stack.enter_async_context(open_key_ring(settings, sessions, registry))
            await stack.enter_async_context(open_sealing(settings, sessions, registry))
            publisher = await stack.enter_async_context(open_publisher(redis, sessions, registry))
            revocations = await stack.enter_async_context(open_revocations(settings.state_url, registry))
            await stack.enter_async_context(open_maintenance_gauges(sessions, registry))
            await stack.enter_async_context(polled(partial(backlog, sessions), registry))
            outbox = await stack.enter_async_context(open_outbox(make_mailer(settings), registry))
            passwords = stack.enter_context(closing(PasswordHasher(settings, registry)))
            yield {
                "settings": settings,
                "session_maker": sessions,
                "redis": redis,
                "key_ring": ring,
                "tokens": Tokens(settings, ring),
                "limits": SignInLimits(redis, settings, registry),
                "passwords": passwords,
                "outbox": outbox,
                "sealer": Sealer(settings),
                "publisher": publisher,
                "metrics": AuthMetrics(registry),
                "token_verifier": TokenVerifier(
                    ring, issuer=settings.issuer, audience=settings.audience, revocations=revocations
                ),
                # `state` is missing: auth answers without it, by the stated policies
                "readiness_checks": {"postgres": partial(check_migrated, engine, revision), "signing_keys": ring.ready},
            }

    # me before users, or it would be somebody's id
    accounts = [me_router, users_router, roles_router, clients_router]
    routers = [keys_router, discovery_router, oauth_router, *accounts, audit_router, pages_router]
    inner = [Middleware(PageOfLastResort)]
    app = create_service(settings, title="Slipway auth", routers=routers, lifespan=lifespan, inner=inner)
    add_page_errors(app)
    return app

"""Items on one screen: settings, resources, routers."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypedDict

from fastapi import FastAPI

from services.common.app import create_service
from services.common.migrations import head
from services.common.polled import polled
from services.common.postgres import SessionMaker, check_migrated, open_postgres, session_maker
from services.common.redis import open_redis
from services.common.remembered_tokens import RememberingVerifier
from services.common.tokens import TokenVerifier, open_token_verifier
from services.items.backlog import backlog
from services.items.cache import CacheMetrics, ItemCache, Lifetimes
from services.items.cursor import CursorSigner
from services.items.router import router
from services.items.settings import ItemsSettings

HOLD_MARGIN_SECONDS = 5.0


class State(TypedDict):
    """What requests find in `request.state`."""

    session_maker: SessionMaker
    cache: ItemCache
    cursors: CursorSigner
    token_verifier: TokenVerifier
    readiness_checks: dict[str, Callable[[], Awaitable[object]]]


def create_app(settings: ItemsSettings | None = None) -> FastAPI:
    """Build the application; `settings` are read from the environment unless given."""
    settings = settings or ItemsSettings()
    revision = head("services.items.migrations")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(open_postgres(settings, app.state.registry))
            await stack.enter_async_context(polled(partial(backlog, engine), app.state.registry))
            redis = await stack.enter_async_context(open_redis(settings.cache_url))
            verifier = await stack.enter_async_context(
                open_token_verifier(settings, app.state.registry, RememberingVerifier)
            )
            yield {
                "session_maker": session_maker(engine),
                "cache": ItemCache(redis, CacheMetrics(app.state.registry), lifetimes(settings)),
                "cursors": CursorSigner(settings.cursor_key.get_secret_value()),
                "token_verifier": verifier,
                # the cache is missing: items answers without it
                "readiness_checks": {
                    "postgres": partial(check_migrated, engine, revision),
                    **verifier.readiness_checks,
                },
            }

    return create_service(settings, title="Slipway items", routers=[router], lifespan=lifespan)


def lifetimes(settings: ItemsSettings) -> Lifetimes:
    """Tell the cache its times; a hold outlasts the longest statement that the database lets run."""
    return Lifetimes(
        soft=settings.cache_soft_lifetime_seconds,
        hard=settings.cache_hard_lifetime_seconds,
        hold=settings.database_statement_timeout_seconds + HOLD_MARGIN_SECONDS,
    )

"""The gateway on one screen: settings, resources, layers."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypedDict

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from services.common.app import create_service, project_version
from services.common.remembered_tokens import RememberingVerifier
from services.common.tokens import TokenVerifier, open_token_verifier
from services.gateway.client_spans import ClientSpans, tracer_of
from services.gateway.documents import Documents, fetched
from services.gateway.edge import Edge
from services.gateway.http1 import Http1Client
from services.gateway.in_flight import InFlight
from services.gateway.limits import open_limits
from services.gateway.metrics import GatewayMetrics
from services.gateway.proxy import Forwarder, Forwarding
from services.gateway.resolver import Resolve, resolve
from services.gateway.router import router
from services.gateway.routes import NamedRoutes, Routes
from services.gateway.settings import GatewaySettings
from services.gateway.streams import Streams
from services.gateway.tokens import REFUSED_SECONDS
from services.gateway.upstreams import Upstream, all_resolved, looked_up

EXPOSED = (
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)


class State(TypedDict):
    """What requests find in `request.state`."""

    forwarder: Forwarder
    documents: Documents
    token_verifier: TokenVerifier
    readiness_checks: dict[str, Callable[[], Awaitable[object]]]


def create_app(settings: GatewaySettings | None = None, *, resolve: Resolve = resolve) -> FastAPI:
    """Build the application; `settings` are read from the environment unless given."""
    settings = settings or GatewaySettings()
    routes = Routes(settings.table)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
        metrics, tracer = GatewayMetrics(app.state.registry), tracer_of(app)
        client = Http1Client(
            connect_timeout_seconds=settings.connect_timeout_seconds,
            idle_timeout_seconds=settings.idle_timeout_seconds,
        )
        metrics.connections.set_function(lambda: client.open_connections)
        upstreams = {
            url: Upstream(
                url,
                client=client,
                resolve=resolve,
                metrics=metrics,
                slow_start_seconds=settings.slow_start_seconds,
                name=routes.names.get(url),
                spans=ClientSpans(tracer),
            )
            for url in {route.upstream for route in routes.all}
        }
        metrics.watch(upstreams.values())
        in_flight = InFlight(max_requests=settings.max_requests_in_flight, max_streams=settings.max_streams)
        async with AsyncExitStack() as stack:
            remembering = partial(
                RememberingVerifier,
                size=settings.token_cache_size,
                refused_seconds=REFUSED_SECONDS,
                checks=metrics.token_checks,
            )
            verifier = await stack.enter_async_context(open_token_verifier(settings, app.state.registry, remembering))
            limits = await stack.enter_async_context(
                open_limits(settings.state_url, replicas=settings.limit_replicas, metrics=metrics, tracer=tracer)
            )
            await stack.enter_async_context(
                looked_up(upstreams.values(), client, every_seconds=settings.resolve_seconds)
            )
            documents = Documents(routes, upstreams, version=project_version(), issuer=settings.issuer)
            await stack.enter_async_context(fetched(documents, every_seconds=settings.documents_seconds))
            streams = Streams(app.state.health, drain_seconds=settings.drain_seconds, is_revoked=verifier.is_revoked)
            await stack.enter_async_context(streams.watching())
            forwarder = Forwarder(
                routes=routes,
                upstreams=upstreams,
                tokens=verifier,
                limits=limits,
                in_flight=in_flight,
                streams=streams,
                metrics=metrics,
            )
            yield {
                "forwarder": forwarder,
                "documents": documents,
                "token_verifier": verifier,
                "readiness_checks": {
                    **verifier.readiness_checks,
                    "upstreams": partial(all_resolved, upstreams.values()),
                },
            }

    app = create_service(
        settings,
        title="Slipway gateway",
        routers=[router],
        lifespan=lifespan,
        edge=_edge(settings),
        inner=[Middleware(Forwarding)],
        websockets=True,
        deadlines=False,
        openapi_url=None,
    )
    app.router.routes.append(NamedRoutes(routes))
    return app


def _edge(settings: GatewaySettings) -> list[Middleware]:
    layers = [
        Middleware(
            Edge,
            trusted_proxies=settings.trusted_proxies,
            public_origin=settings.issuer,
            hsts_seconds=settings.hsts_seconds,
        )
    ]
    if settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
                allow_headers=("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"),
                expose_headers=EXPOSED,
                max_age=600,
            )
        )
    return layers

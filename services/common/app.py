"""The application factory: every service is this plus its routers and resources."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from services.common.access_log import AccessLog
from services.common.body_limit import BodyLimit
from services.common.deadline import Deadline
from services.common.exceptions import CannotStartError
from services.common.health import Health
from services.common.log_level import Level
from services.common.methods import HeadIsGet
from services.common.metrics import CountRequests, HttpMetrics, TelemetryMetrics, process_registry
from services.common.middleware import LastResort, RequestContext
from services.common.openapi import describe_problems
from services.common.operations import Operations
from services.common.operators import Operators
from services.common.problems import add_problem_handlers
from services.common.profiling import Profiling
from services.common.request_profiles import RequestProfiles
from services.common.settings import ServiceSettings, tracing_wanted

log = structlog.get_logger()

# Any: the state is each service's own TypedDict
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]

# FastAPI's own spans would double those of the instrumentor
NO_NATIVE_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_service(
    settings: ServiceSettings,
    *,
    title: str,
    routers: Sequence[APIRouter],
    lifespan: Lifespan | None = None,
    edge: Sequence[Middleware] = (),
    inner: Sequence[Middleware] = (),
    websockets: bool = False,
    deadlines: bool = True,
    openapi_url: str | None = "/openapi.json",
) -> FastAPI:
    """Build the application. `app.state.health` and `app.state.registry` are for the management port.

    The lifespan's state may hold `readiness_checks`: name to an async function that raises when not ready. Layers of
    the service's own go to the `edge`, where they see every answer but those of the server itself, or are `inner`,
    the last before the routes. Offers of a WebSocket are taken only where `websockets` says so. Without `deadlines` the
    service sees by itself to how long a request may take, and whether its client is still there. With `openapi_url`
    None the service says by itself what its API is.
    """
    health = Health()
    registry = process_registry(settings.service_name, project_version(), health)
    telemetry = TelemetryMetrics(registry)
    operators = Operators()
    profiling = Profiling() if settings.profiling else None
    app = FastAPI(
        title=title,
        version=project_version(),
        openapi_url=openapi_url,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_watched(lifespan or _nothing, health, operators),
        telemetry=NO_NATIVE_TELEMETRY,
        middleware=[  # the first is outermost
            Middleware(
                RequestContext,
                health=health,
                trusted_proxies=settings.trusted_proxies,
                access_log=AccessLog(settings.access_log_per_second, telemetry.lines_sampled_out),
            ),
            Middleware(CountRequests, meter=HttpMetrics(registry)),
            *edge,
            Middleware(BodyLimit, max_bytes=settings.max_body_bytes),
            Middleware(LastResort, health=health),
            *_profiles(settings, profiling),
            *([Middleware(Deadline)] if deadlines else []),
            *inner,
            Middleware(HeadIsGet),
        ],
    )
    app.state.health = health
    app.state.registry = registry
    app.state.telemetry = telemetry
    app.state.operations = Operations(
        operators=operators, level=Level(settings.service_name, settings.log_level), profiling=profiling
    )
    app.state.websockets = websockets
    add_problem_handlers(app)
    describe_problems(app)
    for router in routers:
        app.include_router(router)
    if tracing_wanted():
        # imported only here, so that it costs nothing when it is off
        from services.common import tracing

        app.state.tracer_provider = tracing.install(app, settings.service_name, telemetry)
    return app


def _profiles(settings: ServiceSettings, profiling: Profiling | None) -> list[Middleware]:
    if profiling is None:
        return []
    return [Middleware(RequestProfiles, service=settings.service_name, profiling=profiling)]


def project_version() -> str:
    """The installed version; images carry it, a checkout does not."""
    try:
        return version("slipway")
    except PackageNotFoundError:
        return "0.0.0"


def _watched(lifespan: Lifespan, health: Health, operators: Operators) -> Lifespan:
    """Beat from the first moment of the start to the last of the end, and check while resources are open."""

    @asynccontextmanager
    async def watched(app: FastAPI) -> AsyncGenerator[Mapping[str, Any]]:
        try:
            async with (
                health.beating(),
                _traced(app),
                lifespan(app) as state,
                operators.checked_by((state or {}).get("token_verifier")),
                health.checking((state or {}).get("readiness_checks", {})),  # ends before the resources are closed
            ):
                yield state or {}
        except CannotStartError as error:
            health.start_refused = True
            log.error("start_refused", reason=str(error))  # noqa: TRY400 - the sentence says it all
            raise

    return watched


def _traced(app: FastAPI) -> AbstractAsyncContextManager[None]:
    provider = getattr(app.state, "tracer_provider", None)
    if provider is None:
        return nullcontext()
    from services.common import tracing

    return tracing.flushed(provider)


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncGenerator[Mapping[str, Any]]:
    yield {}

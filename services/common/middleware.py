"""Pure ASGI layers that every service wears: request id and access log, and the last resort."""

import asyncio
import re
import time
import uuid
from collections.abc import Iterable

import structlog
from opentelemetry import trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from services.common.access_log import AccessLog
from services.common.addresses import client_address
from services.common.exceptions import retry_soon
from services.common.health import Health
from services.common.logging import stack_text
from services.common.problems import problem
from services.common.settings import Network

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")  # a UUID is one of these
STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})

log = structlog.get_logger()


class RequestContext:
    """Gives the request an id and a client address, and writes one line when it is finished."""

    def __init__(
        self, app: ASGIApp, *, health: Health, trusted_proxies: Iterable[Network], access_log: AccessLog
    ) -> None:
        """Take the health (is the process draining?) and the proxies whose X-Forwarded-For is believed."""
        self.app = app
        self.access_log = access_log
        self.health = health
        self.trusted_proxies = tuple(trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request, or one WebSocket from its offer to its end."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, self._shortened(send))
            return
        request_id = _request_id(Headers(scope=scope))
        client = client_address(scope, self.trusted_proxies)
        state = scope.setdefault("state", {})
        state.update(request_id=request_id, client_address=client)
        fields = {"request_id": request_id}
        if "trace_id" in state:
            fields["trace_id"] = state["trace_id"]
        if "trace_sampled" in state:
            trace.get_current_span().set_attribute("request.id", request_id)
        status = 0
        started = time.perf_counter()

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] in STARTS:
                status = message.get("status", 101)
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                if message["type"] == "http.response.start" and self.health.draining:
                    headers["Connection"] = "close"
            await send(message)

        with bound_contextvars(**fields):
            try:
                await self.app(scope, receive, send_marked)
            finally:
                if self.access_log.wants(status):
                    self.access_log.write(
                        method=scope.get("method", "GET"),
                        handler=state.get("handler") or _handler(scope),
                        status=status,
                        duration_ms=round((time.perf_counter() - started) * 1000, 3),
                        client_address=client,
                    )

    def _shortened(self, send: Send) -> Send:
        """Of a start that was refused no stack, which would bury the sentence that the log has by then."""

        async def send_shortened(message: Message) -> None:
            await send({**message, "message": ""} if self.health.start_refused else message)

        return send_shortened


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _handler(scope: Scope) -> str:
    """The route's template, never the path that was asked for."""
    return getattr(scope.get("route"), "path", "none")


class LastResort:
    """Answers for what nobody caught: 500 without details, logged with its stack; 503 when cut off by the end."""

    def __init__(self, app: ASGIApp, *, health: Health) -> None:
        """Wrap the application; this is the innermost layer, so that the others see the answer."""
        self.app = app
        self.health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and catch. Half an answer is left as it is: the server then cuts the connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except asyncio.CancelledError:
            if started or not self.health.draining:
                raise
            log.warning("request_cut_off", method=scope["method"], handler=_handler(scope))
            await problem(scope, 503, headers={"Retry-After": str(retry_soon())})(scope, receive, send)
        except Exception as error:
            log.exception("request_failed", method=scope["method"], handler=_handler(scope))
            told = {"exception.message": type(error).__name__, "exception.stacktrace": stack_text(error)}
            trace.get_current_span().record_exception(error, attributes=told)
            if not started:
                await problem(scope, 500)(scope, receive, send)

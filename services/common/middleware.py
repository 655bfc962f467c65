"""Pure ASGI layers that every service wears: request id and access log, body limit, last resort."""

import re
import time
import uuid
from collections.abc import Iterable

import structlog
from opentelemetry import trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from services.common.addresses import client_address
from services.common.health import Health
from services.common.problems import problem
from services.common.settings import Network

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")  # a UUID is one of these

log = structlog.get_logger()


class RequestContext:
    """Gives the request an id and a client address, and writes one line when it is finished."""

    def __init__(self, app: ASGIApp, *, health: Health, trusted_proxies: Iterable[Network]) -> None:
        """Take the health (is the process draining?) and the proxies whose X-Forwarded-For is believed."""
        self.app = app
        self.health = health
        self.trusted_proxies = tuple(trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        client = client_address(scope, self.trusted_proxies)
        scope.setdefault("state", {}).update(request_id=request_id, client_address=client)
        status = 0
        started = time.perf_counter()

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                if self.health.draining:
                    headers["Connection"] = "close"
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_marked)
            finally:
                log.info(
                    "request_finished",
                    method=scope["method"],
                    handler=_handler(scope),
                    status=status,
                    duration_ms=round((time.perf_counter() - started) * 1000, 3),
                    client_address=client,
                )


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _handler(scope: Scope) -> str:
    """The route's template, never the path that was asked for."""
    return getattr(scope.get("route"), "path", "none")


class BodyLimit:
    """Refuses bodies over a size, announced or chunked, with 413 as a problem document."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        """Take the largest body that is read, in bytes."""
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what is received; the application never sees a byte over the limit."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self.max_bytes:
            await self._refuse(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                # not our own error class: FastAPI lets only this one through while it reads a body
                raise HTTPException(413, self._detail, headers={"Connection": "close"})
            return message

        await self.app(scope, receive_counted, send)

    @property
    def _detail(self) -> str:
        return f"The body is longer than the {self.max_bytes} bytes that are read here"

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = problem(
            scope, 413, title="Content too large", detail=self._detail, headers={"Connection": "close"}
        )
        await response(scope, receive, send)


class LastResort:
    """Answers 500 without details for what nobody caught, and logs it with its stack."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application; this is the innermost layer, so that the others see the answer."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and catch."""
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except Exception as error:
            if scope["type"] != "http":
                raise
            log.exception("request_failed", method=scope["method"], handler=_handler(scope))
            trace.get_current_span().record_exception(error)
            if started:
                raise  # half an answer is out: the server cuts the connection so that it cannot pass for a whole one
            await problem(scope, 500, slug="internal-error")(scope, receive, send)

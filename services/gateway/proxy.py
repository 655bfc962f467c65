"""A request on its way through: route, token, limits, pod, answer."""

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.body_limit import BodyLimit
from services.common.deadline import CLIENT_GONE
from services.common.exceptions import ServiceError, UnauthenticatedError
from services.common.middleware import STARTS
from services.common.problems import problem
from services.common.tokens import Principal, TokenVerifier
from services.gateway.client import Request, RequestBody
from services.gateway.exceptions import (
    BadGatewayError,
    ClientGoneError,
    ConnectError,
    SlowAnswerError,
    StreamEndedError,
    TooManyRequestsError,
    UpstreamAwayError,
    UpstreamError,
    UpstreamTimeoutError,
)
from services.gateway.headers import Header, downstream_headers, upstream_headers
from services.gateway.in_flight import InFlight, Ticket
from services.gateway.limits import RateLimits
from services.gateway.metrics import GatewayMetrics
from services.gateway.paths import check_path
from services.gateway.routes import Route, Routes
from services.gateway.streams import Streams
from services.gateway.tokens import bearer_token
from services.gateway.upstreams import Exchange, Upstream
from services.gateway.websockets import Tunnel

EVENT_STREAM = b"text/event-stream"

log = structlog.get_logger()


class Forwarding:
    """The layer that forwards what a route covers and lets the gateway's own paths through."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application; all else is in the state of the lifespan."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] in {"http", "websocket"}:
            await scope["state"]["forwarder"].forward(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)


class Forwarder:
    """Forwards requests by their routes; what goes wrong is answered with a problem document."""

    def __init__(
        self,
        *,
        routes: Routes,
        upstreams: dict[str, Upstream],
        tokens: TokenVerifier,
        limits: RateLimits,
        in_flight: InFlight,
        streams: Streams,
        metrics: GatewayMetrics,
    ) -> None:
        """Take all that a request needs on its way."""
        self._routes = routes
        self._tokens = tokens
        self._limits = limits
        self._in_flight = in_flight
        self._metrics = metrics
        self._ways = {route.path: _way(route, upstreams[route.upstream], streams) for route in routes.all}

    async def forward(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or leave it to the application."""
        said: list[Header] = []  # of the limits
        send = _with_limits(send, said)
        try:
            check_path(scope["path"], scope["raw_path"])
            route = self._routes.find(scope["path"])
            if route is None:
                await app(scope, receive, send)
                return
            scope["route"] = route  # its path is the request's name in the log
            await self._admit(route, said, scope, receive, send)
        except ServiceError as error:
            if not isinstance(error, BadGatewayError | UpstreamTimeoutError | UpstreamAwayError):
                self._metrics.refused.labels(error.slug).inc()
            answer = problem(
                scope, error.status, title=error.title, slug=error.slug, detail=error.detail, headers=error.headers
            )
            await answer(scope, receive, send)
        except HTTPException as error:  # of the layers that read the body
            await problem(scope, error.status_code, detail=error.detail, headers=error.headers)(scope, receive, send)
        except ClientGoneError:
            await problem(scope, CLIENT_GONE)(scope, receive, send)

    async def _admit(self, route: Route, said: list[Header], scope: Scope, receive: Receive, send: Send) -> None:
        ticket = self._in_flight.admit("stream" if scope["type"] == "websocket" else "request")
        try:
            await self._check(route, said, scope)
            scope["state"]["ticket"] = ticket
            await self._ways[route.path](scope, receive, send)
        finally:
            ticket.give_back()

    async def _check(self, route: Route, said: list[Header], scope: Scope) -> None:
        """Who asks, and whether they have asked too often; a token that is refused counts as well."""
        principal = refusal = None
        if not route.public:
            try:
                principal = await self._tokens.verify(bearer_token(scope["headers"]))
                structlog.contextvars.bind_contextvars(subject=principal.subject)
            except UnauthenticatedError as error:
                refusal = error
        try:
            method = scope.get("method", "GET")  # a WebSocket opens by GET (RFC 6455 section 4.1)
            address = scope["state"]["client_address"]
            said += await self._limits.take(route, method, scope["path"], principal=principal, address=address)
        except TooManyRequestsError as error:
            said += error.limits
            raise
        if refusal is not None:
            raise refusal
        scope["state"]["principal"] = principal


def _with_limits(send: Send, said: list[Header]) -> Send:
    """Have the answer, whoever gives it, say what the limits said: of a service's own only this gateway's counts."""

    async def send_said(message: Message) -> None:
        if said and message["type"] in STARTS:
            names = {name for name, _ in said}
            message["headers"] = [header for header in message.get("headers", ()) if header[0] not in names] + said
        await send(message)

    return send_said


def _way(route: Route, upstream: Upstream, streams: Streams) -> ASGIApp:
    way = Way(route, upstream, streams)
    return way if route.max_body_bytes is None else BodyLimit(way, max_bytes=route.max_body_bytes)


class Way:
    """The way of one route's requests to its service and back."""

    def __init__(self, route: Route, upstream: Upstream, streams: Streams) -> None:
        """Take the route, and what it shares with others."""
        self._route = route
        self._upstream = upstream
        self._streams = streams
        self._tunnel = Tunnel(route, upstream, streams)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward. Raises ServiceError, HTTPException or ClientGoneError as long as nothing is sent."""
        try:
            if scope["type"] == "websocket":
                await self._tunnel.forward(scope, receive, send)
            else:
                await self._exchange(scope, receive, send)
        except ConnectError:
            raise UpstreamAwayError("The service that answers here takes no connections") from None
        except SlowAnswerError:
            raise UpstreamTimeoutError("The service that answers here did not do so in time") from None
        except UpstreamError:
            raise BadGatewayError("The service that answers here gave no answer that can be passed on") from None

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = await self._upstream.send(self._request(scope, receive))
        response = exchange.response
        try:
            headers = downstream_headers(response.status, response.headers)
            if not any(name == b"content-type" and value.startswith(EVENT_STREAM) for name, value in headers):
                await _pass_on(exchange, headers, send)
                return
            ticket: Ticket = scope["state"]["ticket"]
            ticket.become_stream()
            principal: Principal | None = scope["state"]["principal"]
            with self._streams.registered(lambda _: response.interrupt(StreamEndedError()), principal):
                await _pass_on(exchange, headers, send)
        finally:
            exchange.close()

    def _request(self, scope: Scope, receive: Receive) -> Request:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length")
        body = RequestBody(
            receive, length=None if length is None else int(length), chunked=b"transfer-encoding" in headers
        )
        timeout = self._route.timeout_seconds
        passed = upstream_headers(
            scope, host=self._upstream.authority.encode(), timeout_seconds=timeout, public=self._route.public
        )
        return Request(scope["method"], target(scope), passed, body, timeout)


def target(scope: Scope) -> bytes:
    """Path and query exactly as they were asked for."""
    query: bytes = scope["query_string"]
    path: bytes = scope["raw_path"]
    return path + b"?" + query if query else path


async def _pass_on(exchange: Exchange, headers: list[Header], send: Send) -> None:
    """Send the answer as it comes, no faster than the client takes it.

    One that breaks off is left half: the server then cuts the client's connection, which is how it hears of it.
    """
    response = exchange.response
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    try:
        complete = False
        while not complete:
            body = await response.read()
            complete = response.complete()
            if complete:
                exchange.close()  # the pod is free, however slow the client
            await send({"type": "http.response.body", "body": body, "more_body": not complete})
    except StreamEndedError:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (UpstreamError, HTTPException) as error:
        log.warning("answer_broken_off", reason=str(error))
    except ClientGoneError:
        return

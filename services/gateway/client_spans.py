"""The gateway's own spans: one for each time that a pod is asked."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider

from services.gateway.client import Address, Request

ERRORS_FROM = 400  # of a client's span (semantic conventions for HTTP)


def tracer_of(app: FastAPI) -> Tracer | None:
    """By the provider that the application was made with; None while traces are off."""
    provider: TracerProvider | None = getattr(app.state, "tracer_provider", None)
    return None if provider is None else provider.get_tracer("slipway.gateway")


class ClientSpans:
    """Records a request to a pod as a part of the request that it is forwarded for, when that one is recorded."""

    def __init__(self, tracer: Tracer | None) -> None:
        """Take the application's tracer; None while traces are off."""
        self._tracer = tracer

    @contextmanager
    def asking(self, address: Address, request: Request, attempt: int) -> Generator["Asked"]:
        """The request as it is to be sent; what it fails with is noted by its class, and goes on."""
        if self._tracer is None or not trace.get_current_span().is_recording():
            yield Asked(request, None)
            return
        attributes: dict[str, Any] = {
            "http.request.method": request.method,
            "server.address": address[0],
            "server.port": address[1],
            "url.path": request.target.partition(b"?")[0].decode("latin-1"),
        }
        if attempt:
            attributes["http.request.resend_count"] = attempt
        span = self._tracer.start_span(request.method, kind=SpanKind.CLIENT, attributes=attributes)
        try:
            yield Asked(_within(request, span), span)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()


class Asked:
    """A request on its way to a pod."""

    def __init__(self, request: Request, span: Span | None) -> None:
        """Take both."""
        self.request = request
        self._span = span

    def answered(self, status: int) -> None:
        """Note the status of the answer."""
        if self._span is None:
            return
        self._span.set_attribute("http.response.status_code", status)
        if status >= ERRORS_FROM:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)


def _within(request: Request, span: Span) -> Request:
    """The request with a `traceparent` that makes the pod's span a child of this one."""
    context = span.get_span_context()
    ours = f"00-{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}-01".encode()
    headers = [(name, value) for name, value in request.headers if name != b"traceparent"]
    return replace(request, headers=[*headers, (b"traceparent", ours)])

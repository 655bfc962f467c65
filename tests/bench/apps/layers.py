"""A cheap and a slow route below so many layers, each of which adds one header: BaseHTTPMiddleware or pure ASGI."""

import asyncio
import os

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SLOW_SECONDS = 0.005


class Pure:
    """The layer as a class of the protocol's own shape."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the header to the start of the answer."""

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Layer"] = "1"
            await send(message)

        await self.app(scope, receive, send_marked)


class Base(BaseHTTPMiddleware):
    """The same layer as documentation shows it first."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Add the header to the answer."""
        response = await call_next(request)
        response.headers["X-Layer"] = "1"
        return response


KINDS = {"pure": Pure, "base": Base}
layers = [Middleware(KINDS[os.environ["KIND"]]) for _ in range(int(os.environ["LAYERS"]))]  # type: ignore[arg-type]
app = FastAPI(middleware=layers, docs_url=None, redoc_url=None)


@app.get("/cheap")
async def cheap() -> dict[str, bool]:
    """Answer at once."""
    return {"ok": True}


@app.get("/slow")
async def slow() -> dict[str, bool]:
    """Answer after five milliseconds of waiting."""
    await asyncio.sleep(SLOW_SECONDS)
    return {"ok": True}

"""A service that says what it saw, as FastAPI services see it."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from prometheus_client import CollectorRegistry
from starlette.responses import StreamingResponse

router = APIRouter()


@router.api_route("/v1/echo{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def echo(request: Request) -> Response:
    how = request.query_params.get("how")
    if how == "events":
        return StreamingResponse(events(), media_type="text/event-stream")
    if how == "download":
        return StreamingResponse(download(int(request.query_params["bytes"])))
    body = await request.body()
    return Response(body, headers={"X-Method": request.method, "X-Path": request.scope["raw_path"].decode()})


async def events() -> AsyncIterator[str]:
    number = 0
    while True:
        yield f"data: {number}\n\n"
        number += 1
        await asyncio.sleep(0.05)


async def download(size: int) -> AsyncIterator[bytes]:
    part = bytes(65_536)
    for _ in range(size // len(part)):
        yield part


@router.websocket("/v1/echo/ws")
async def talk(socket: WebSocket) -> None:
    if socket.query_params.get("refuse"):
        await socket.send_denial_response(Response("no", 401, {"WWW-Authenticate": "Bearer"}))
        return
    await socket.accept(subprotocol=next(iter(socket.scope["subprotocols"]), None))
    async for text in socket.iter_text():
        if text == "bye":
            await socket.close(4001, "as you wish")
            return
        await socket.send_text(text.upper())


def create_echo() -> FastAPI:
    """The application, with WebSockets."""
    app = FastAPI(redirect_slashes=False)
    app.state.registry = CollectorRegistry()
    app.state.websockets = True
    app.include_router(router)
    return app

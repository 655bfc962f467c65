"""Answers by its address, at once or after a while, and streams."""

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

from fastapi import APIRouter, FastAPI, Request, WebSocket
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from services.common.app import create_service
from services.common.settings import ServiceSettings

PART = bytes(65_536)


class PodSettings(ServiceSettings):
    """Nothing of its own."""

    service_name: ClassVar[str] = "pod"


def create_app(settings: PodSettings) -> FastAPI:
    """Build the application."""
    router = APIRouter(prefix="/v1/pod")

    @router.api_route("", methods=["GET", "POST", "PUT"])
    async def name(request: Request, seconds: float = 0) -> Response:
        received = 0
        async for part in request.stream():
            received += len(part)
        await asyncio.sleep(seconds)
        return PlainTextResponse(settings.host, headers={"X-Received": str(received)})

    @router.get("/events")
    async def events() -> Response:
        return StreamingResponse(_events(settings.host), media_type="text/event-stream")

    @router.get("/download")
    async def download(parts: int) -> Response:
        return StreamingResponse(_download(parts), headers={"Content-Length": str(parts * len(PART))})

    @router.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(f"{settings.host} {text}")

    return create_service(settings, title="Pod", routers=[router], websockets=True)


async def _events(name: str) -> AsyncIterator[str]:
    while True:
        yield f"data: {name}\n\n"
        await asyncio.sleep(0.05)


async def _download(parts: int) -> AsyncIterator[bytes]:
    for _ in range(parts):
        yield PART

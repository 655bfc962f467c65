"""Endpoints that do what a test wants to see handled."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from typing import Annotated, Any, ClassVar

import structlog
from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.common.app import Lifespan, create_service
from services.common.exceptions import ServiceError, UnavailableError
from services.common.schemas import STORABLE, Text
from services.common.settings import ServiceSettings

log = structlog.get_logger()
router = APIRouter(prefix="/v1/sample")
ANSWER = "hello"  # a test of reloading edits this line in a copy


class SampleSettings(ServiceSettings):
    """Nothing of its own but a number that must be there in one test."""

    service_name: ClassVar[str] = "sample"

    fail_at: str = ""


class ConflictError(ServiceError):
    """An error of the sample's own."""

    status, title, slug = 409, "Conflict", "conflict"


class Thing(BaseModel):
    """A body with limits."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=20), STORABLE]
    note: Text = ""
    count: int = Field(default=0, ge=0, le=100)


@router.get("/ping")
async def ping() -> dict[str, Any]:
    return {"answer": ANSWER, "pid": os.getpid()}


@router.get("/collected")
async def collected() -> dict[str, int]:
    """How many objects a full garbage collection goes through, and how many it leaves alone."""
    return {"looked_through": len(gc.get_objects()), "left_alone": gc.get_freeze_count()}


@router.get("/client")
async def client(request: Request) -> dict[str, Any]:
    return {"client": request.state.client_address}


@router.get("/slow/{seconds}")
async def slow(seconds: float) -> dict[str, float]:
    log.info("request_begun")
    await asyncio.sleep(seconds)
    return {"slept": seconds}


@router.get("/stubborn/{seconds}")
async def stubborn(seconds: float) -> None:
    log.info("request_begun")
    try:
        await asyncio.sleep(60)
    finally:  # gives something back, which takes its time
        await asyncio.sleep(seconds)
        log.info("request_left")


@router.get("/block/{seconds}")
async def block(seconds: float) -> dict[str, float]:
    time.sleep(seconds)  # noqa: ASYNC251 - the wrong that a test wants to see
    return {"blocked": seconds}


@router.post("/things", status_code=201)
async def make_thing(thing: Thing) -> Thing:
    return thing


@router.api_route("/things", methods=["GET"])
async def list_of_things() -> list[str]:
    return ["lamp"]


@router.post("/echo-authorization")
async def echo_authorization(request: Request) -> dict[str, list[str]]:
    await request.body()
    return {"authorization": request.headers.getlist("authorization")}


@router.post("/raw")
async def raw(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.post("/unread")
async def unread() -> dict[str, bool]:
    return {"read": False}


@router.get("/list")
async def list_things(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> dict[str, int]:
    return {"limit": limit}


def planted_slow_function(words: int) -> str:
    """The fault that profiles have to find: it copies all it has for each word that it adds."""
    text = ""
    for number in range(words):
        text = "".join([*text, str(number % 10)])
    return text


@router.get("/report")
async def report(words: int = 3000) -> dict[str, int]:
    return {"length": len(planted_slow_function(words))}


@router.get("/fail/{how}")
async def fail(how: str) -> None:
    errors: dict[str, Exception] = {
        "conflict": ConflictError("the name is taken"),
        "unavailable": UnavailableError("the store is away", retry_after_seconds=7),
        "teapot": HTTPException(418, "short and stout", headers={"X-Pot": "yes"}),
        "odd": HTTPException(499, "nobody named this one"),
        "bug": RuntimeError("password=hunter2"),
    }
    raise errors[how]


@router.get("/half")
async def half() -> StreamingResponse:
    async def lines() -> AsyncIterable[bytes]:
        yield b"one\n"
        raise RuntimeError("broke in the middle")

    return StreamingResponse(lines())


class HeadOnly(Response):
    """Breaks in the very step in which it has begun."""

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("broke before the body")


@router.get("/head-only")
async def head_only() -> Response:
    return HeadOnly()


@router.get("/late")
async def late() -> StreamingResponse:
    async def lines() -> AsyncIterable[bytes]:
        await asyncio.sleep(60)
        yield b"at last\n"

    return StreamingResponse(lines())


@router.get("/events")
async def events() -> StreamingResponse:
    async def lines() -> AsyncIterable[bytes]:
        while True:
            yield b"data: here\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(lines(), media_type="text/event-stream")


@asynccontextmanager
async def opened(resource: str) -> AsyncGenerator[None]:
    log.info("resource_opened", resource=resource)
    yield
    log.info("resource_closed", resource=resource)


def create_app(settings: SampleSettings | None = None, lifespan: Lifespan | None = None) -> FastAPI:
    """Build the application of the sample service."""
    settings = settings or SampleSettings()

    @asynccontextmanager
    async def default(_: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        if settings.fail_at == "start":
            raise RuntimeError("the store cannot be opened")
        async with opened("store"), opened("cache"):
            yield {}
        if settings.fail_at == "end":
            raise RuntimeError("the store cannot be closed")

    return create_service(settings, title="Sample", routers=[router], lifespan=lifespan or default)

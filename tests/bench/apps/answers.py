"""The same twenty items by every way that an answer can take, and a route that says pong."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response, StreamingResponse


class Item(BaseModel):
    """One item."""

    id: UUID
    name: str
    price_minor: int
    created_at: datetime


ITEMS = [Item(id=UUID(int=n), name=f"lamp {n}", price_minor=n, created_at=datetime.now(UTC)) for n in range(20)]
ROWS = [item.model_dump() for item in ITEMS]
PLAIN = [item.model_dump(mode="json") for item in ITEMS]
READY = json.dumps(PLAIN).encode()
PARTS = [READY[at : at + len(READY) // 20 + 1] for at in range(0, len(READY), len(READY) // 20 + 1)]
JSON = "application/json"

app = FastAPI(docs_url=None, redoc_url=None)


@app.get("/ping")
async def ping() -> dict[str, str]:
    """Say pong."""
    return {"ping": "pong"}


@app.get("/model")
async def model() -> list[Item]:
    """Models, validated and serialised by the framework."""
    return ITEMS


@app.get("/rows", response_model=list[Item])
async def rows() -> Any:
    """Rows as dictionaries, made into models on the way out."""
    return ROWS


@app.get("/json")
async def plain() -> Response:
    """Plain values, serialised by the standard library."""
    return JSONResponse(PLAIN)


@app.get("/dump")
async def dump() -> Response:
    """Models, serialised by pydantic without being validated again."""
    return Response(
        b"[" + b",".join(item.__pydantic_serializer__.to_json(item) for item in ITEMS) + b"]", media_type=JSON
    )


@app.get("/bytes")
async def ready() -> Response:
    """Bytes that are there already, as from a cache."""
    return Response(READY, media_type=JSON)


async def parts() -> AsyncIterator[bytes]:
    """The bytes in twenty parts."""
    for part in PARTS:
        yield part


def parts_of_a_thread() -> Iterator[bytes]:
    """The same, by a plain generator, which the framework runs in a thread."""
    yield from PARTS


@app.get("/stream")
async def stream() -> Response:
    """In twenty parts."""
    return StreamingResponse(parts(), media_type=JSON)


@app.get("/stream-thread")
async def stream_of_a_thread() -> Response:
    """In twenty parts, from a thread."""
    return StreamingResponse(parts_of_a_thread(), media_type=JSON)

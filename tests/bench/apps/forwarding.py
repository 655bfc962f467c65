"""What a team writes first when it needs a gateway: FastAPI that forwards with httpx, streaming both ways."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

UPSTREAM = os.environ["UPSTREAM"]
OF_THE_CONNECTION = frozenset({"host", "connection", "keep-alive", "transfer-encoding", "te", "upgrade"})


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """One client with kept connections for all requests."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=UPSTREAM, limits=limits, timeout=15) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)


@app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def forward(request: Request) -> StreamingResponse:
    """Send the request on, and the answer back as it comes."""
    client: httpx.AsyncClient = request.app.state.client
    headers = [(name, value) for name, value in request.headers.raw if name.decode() not in OF_THE_CONNECTION]
    asked = client.build_request(
        request.method,
        httpx.URL(path=request.url.path, query=request.url.query.encode()),
        headers=headers,
        content=request.stream() if "content-length" in request.headers else None,
    )
    answer = await client.send(asked, stream=True)
    kept = {name: value for name, value in answer.headers.items() if name not in OF_THE_CONNECTION}
    return StreamingResponse(
        answer.aiter_raw(), answer.status_code, headers=kept, background=BackgroundTask(answer.aclose)
    )

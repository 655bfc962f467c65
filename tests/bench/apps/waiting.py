"""One query that the database takes its time over: the same code with await, and without in FastAPI's threads."""

import asyncio
import os
import queue
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from fastapi import FastAPI

URL = os.environ["DATABASE_URL"]
CONNECTIONS = 40  # as many as FastAPI has threads
QUERY = "SELECT pg_sleep(%s), 'lamp'"
SECONDS = float(os.environ["DATABASE_SECONDS"])

waiting: asyncio.Queue[Any] = asyncio.Queue()
blocking: queue.Queue[Any] = queue.Queue()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Open the connections of the one route that is asked."""
    for _number in range(CONNECTIONS):
        if os.environ["HOW"] == "async":
            waiting.put_nowait(await psycopg.AsyncConnection.connect(URL, autocommit=True))
        else:
            blocking.put(psycopg.connect(URL, autocommit=True))
    yield


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None)


@app.get("/async")
async def read_async() -> dict[str, str]:
    """Ask and wait on the loop."""
    connection = await waiting.get()
    try:
        cursor = await connection.execute(QUERY, [SECONDS])
        _, name = await cursor.fetchone()
    finally:
        waiting.put_nowait(connection)
    return {"name": name}


@app.get("/threads")
def read_in_a_thread() -> dict[str, str]:
    """Ask and wait in a thread."""
    connection = blocking.get()
    try:
        _, name = connection.execute(QUERY, [SECONDS]).fetchone()
    finally:
        blocking.put(connection)
    return {"name": name}

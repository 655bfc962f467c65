"""Work ends when its time is over or nobody waits for it, and Postgres ends the statement with it."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.common.deadline import Deadline
from tests.common.querying import service, statements
from tests.support.clients import app_client

PATIENT = {"database_statement_timeout_seconds": 60}  # or Postgres would end the statement by itself
SLEEP = "pg_sleep"
LONGER_SECONDS = 2.2


async def test_a_statement_ends_with_the_time_of_its_request(database_url: str) -> None:
    async with service(database_url, **PATIENT) as client:
        answer = await client.get("/sleep/50", headers={"X-Request-Timeout-Ms": "300"})

        assert answer.status_code == 504
        assert answer.headers["content-type"] == "application/problem+json"
        await statements(database_url, SLEEP, 0)
        for _ in range(3):  # the pool of two has all of its connections again
            assert (await client.get("/one")).json() == 1


async def test_a_statement_ends_when_its_client_leaves(database_url: str) -> None:
    async with service(database_url, **PATIENT) as client:
        asking = asyncio.create_task(client.get("/sleep/50"))
        await statements(database_url, SLEEP, 1)

        asking.cancel()

        await statements(database_url, SLEEP, 0)
        for _ in range(3):
            assert (await client.get("/one")).json() == 1


@pytest.mark.parametrize("word", ["", "0", "-1", "1.5", "soon", "99999999", "\u0661\u0662".encode().decode("latin-1")])
async def test_a_time_that_is_none_counts_for_nothing(database_url: str, word: str) -> None:
    async with service(database_url) as client:
        answer = await client.get("/sleep/0.1", headers={b"X-Request-Timeout-Ms": word.encode("latin-1")})

    assert answer.status_code == 200


async def parts() -> AsyncIterator[bytes]:
    yield b"first "
    await asyncio.sleep(LONGER_SECONDS)
    yield b"second"


async def stream(request: Request) -> Response:
    await request.body()
    return StreamingResponse(parts())


async def take(request: Request) -> Response:
    return JSONResponse(len(await request.body()))


async def wait(request: Request) -> Response:
    await request.body()
    await asyncio.sleep(50)
    raise AssertionError("nobody ended it")


def listening() -> int:
    """How many tasks wait for a client to leave."""
    return sum("watch" in repr(task.get_coro()) for task in asyncio.all_tasks())


async def listeners(request: Request) -> Response:
    """Those at the beginning, and once it has lasted."""
    first = listening()
    while "lasting" in request.query_params and not listening():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.01)
    return JSONResponse([first, listening()])


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    routes = [Route(f"/{each.__name__}", each, methods=["GET", "POST"]) for each in (stream, take, wait, listeners)]
    async with app_client(Starlette(routes=routes, middleware=[Middleware(Deadline)])) as opened:
        yield opened


SHORT = {"X-Request-Timeout-Ms": "2000"}  # what is done in it takes a busy machine some time, too


async def test_an_answer_that_has_begun_is_not_cut(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/stream", headers=SHORT)).text == "first second"


async def test_the_time_runs_from_the_end_of_the_body(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/take", content=parts(), headers=SHORT)).json() == len(b"first second")
    assert (await client.post("/wait", content=parts(), headers=SHORT)).status_code == 504


async def test_only_of_a_request_that_lasts_is_the_end_of_the_client_listened_for(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/listeners")).json() == [0, 0]
    assert (await client.get("/listeners?lasting")).json() == [0, 1]
    assert listening() == 0

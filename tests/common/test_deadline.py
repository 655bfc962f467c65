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
from starlette.types import Receive, Scope, Send

from services.common.deadline import Deadline
from tests.common.querying import service, statements
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client
from tests.support.waits import until

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


async def unread(_: Request) -> Response:
    await asyncio.sleep(50)
    raise AssertionError("nobody ended it")


async def pausing(request: Request) -> Response:
    """Reads the first part of a body, and the others when they have been there for a while."""
    body = request.stream()
    read = [await anext(body)]
    await asyncio.sleep(0.8)
    read += [part async for part in body]
    return JSONResponse(len(b"".join(read)))


async def own_timeout(_: Request) -> Response:
    raise TimeoutError


class Early(Response):
    """Begins, and only then reads the body and takes its time."""

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(0.5)
        await send({"type": "http.response.body", "body": b"whole"})


async def early(_: Request) -> Response:
    return Early()


left: list[str] = []


class Left(Response):
    """Begins, waits for its client to leave, and then has something to put away."""

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        left.append((await receive())["type"])
        await asyncio.sleep(0.05)
        left.append("put away")


async def leave(_: Request) -> Response:
    return Left()


async def failed(_: Request, error: Exception) -> Response:
    return JSONResponse(type(error).__name__, 500)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    endpoints = (stream, take, wait, listeners, unread, pausing, own_timeout, early, leave)
    routes = [Route(f"/{each.__name__}", each, methods=["GET", "POST"]) for each in endpoints]
    handlers = {Exception: failed}
    app = Starlette(routes=routes, middleware=[Middleware(Deadline)], exception_handlers=handlers)
    async with app_client(app) as opened:
        yield opened


SHORT = {"X-Request-Timeout-Ms": "2000"}  # what is done in it takes a busy machine some time, too


async def test_an_answer_that_has_begun_is_not_cut(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/stream", headers=SHORT)).text == "first second"


async def test_the_time_runs_from_the_end_of_the_body(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/take", content=parts(), headers=SHORT)).json() == len(b"first second")
    assert (await client.post("/wait", content=parts(), headers=SHORT)).status_code == 504


async def test_the_time_is_in_milliseconds(client: httpx2.AsyncClient) -> None:
    # sooner than this client gives up, by far
    assert (await client.get("/wait", headers={"X-Request-Timeout-Ms": "1500"})).status_code == 504


async def test_who_listens_for_the_end_of_a_client_takes_none_of_its_body(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/pausing", content=parts())).json() == len(b"first second")
    assert (await client.post("/take", content=b"whole")).json() == len(b"whole")  # with a length


async def test_of_an_empty_body_nobody_need_read_the_end(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/unread", headers={**SHORT, "Content-Length": "0"})).status_code == 504


async def test_an_answer_that_begins_before_the_end_of_the_body_is_not_cut_either(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/early", content=parts(), headers=SHORT)).text == "whole"


async def test_a_timeout_of_the_applications_own_is_its_error(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/own_timeout", headers={"X-Request-Timeout-Ms": "60000"})

    assert (answer.status_code, answer.json()) == (500, "TimeoutError")


async def test_who_answers_is_told_that_the_client_has_left_and_ends_by_itself(client: httpx2.AsyncClient) -> None:
    left.clear()
    async with client.stream("GET", "/leave") as answer:
        body = answer.aiter_raw()
        assert await anext(body) == b"first"
        await until(listening, "listening for the client's end")

    await until(lambda: "put away" in left, "the end of the answer")
    assert left == ["http.disconnect", "put away"]


async def test_a_client_that_has_left_is_not_counted_as_one_whose_time_was_over() -> None:
    app = create_app(SampleSettings())
    value = app.state.registry.get_sample_value
    labels = {"method": "GET", "handler": "/v1/sample/slow/{seconds}"}

    def count(status: int) -> object:
        return value("http_requests_total", {**labels, "status": str(status)})

    async with app_client(app) as opened:
        asking = asyncio.create_task(opened.get("/v1/sample/slow/50"))
        await until(lambda: value("http_requests_in_flight", {"kind": "request"}), "a request")

        asking.cancel()

        await until(lambda: count(499) or count(504), "the end of the request")
    assert (count(499), count(504)) == (1, None)


async def test_only_of_a_request_that_lasts_is_the_end_of_the_client_listened_for(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/listeners")).json() == [0, 0]
    assert (await client.get("/listeners?lasting")).json() == [0, 1]
    assert listening() == 0

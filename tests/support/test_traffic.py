"""The load generator against a small application that counts."""

import json
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.support.load import _client
from tests.support.traffic import Traffic, hidden_fields

PAGE = '<form><input type="hidden" name="csrf" value="a"><input name="email"></form>'


def standing(seen: Counter[str]) -> Starlette:
    """Answers as the platform would, and counts by method and path."""

    async def answer(request: Request) -> Response:
        path = "/v1/items" if request.url.path.startswith("/v1/items") else request.url.path
        seen[f"{request.method} {path}"] += 1
        if request.url.path == "/oauth2/token":
            return JSONResponse({"access_token": "t"})
        if request.url.path == "/login":
            return HTMLResponse(PAGE, headers={"set-cookie": "a=b; Path=/"})
        assert request.headers["authorization"] == "Bearer t"
        return JSONResponse({"id": "1"}, status_code=201 if request.method == "POST" else 200)

    methods = ["GET", "POST", "PATCH"]
    return Starlette(routes=[Route("/{path:path}", answer, methods=methods)])


async def test_every_kind_is_sent_with_a_token_that_is_asked_for_once() -> None:
    seen: Counter[str] = Counter()
    transport = httpx2.ASGITransport(app=standing(seen))
    async with httpx2.AsyncClient(transport=transport, base_url="http://a") as http:
        traffic = Traffic(http, ("id", "secret"), rate=10_000)
        await traffic.run(count=1)
        await traffic.run(count=300)

    assert seen["POST /oauth2/token"] == 1
    assert {"GET /v1/items", "POST /v1/items", "PATCH /v1/items", "GET /login", "POST /login"} <= seen.keys()
    assert sum(count for (doing, _), count in traffic.seen.items() if doing != "token") == 301


async def test_a_platform_that_is_away_is_counted_and_not_raised() -> None:
    async def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no", request=request)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(refuse), base_url="http://a") as http:
        traffic = Traffic(http, ("id", "secret"), rate=1000)
        await traffic.run(count=5)

    assert sum(count for (_, status), count in traffic.seen.items() if status == "ConnectError") == 5


def test_hidden_fields_of_a_page_are_sent_back() -> None:
    assert hidden_fields(PAGE) == {"csrf": "a"}


def test_a_file_that_names_no_client_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "client.curl"
    file.write_text(json.dumps({}))

    with pytest.raises(ValueError, match=r"client\.curl has no line user"):
        _client(file)

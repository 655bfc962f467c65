"""The load generator against a small application that counts."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.support.accounts import PEOPLE, people
from tests.support.forms import Forms, hidden_fields
from tests.support.load import _client
from tests.support.traffic import Traffic

PAGE = '<form><input type="hidden" name="csrf" value="a"><input name="email"></form>'


def standing(seen: Counter[str]) -> Starlette:
    """Answers as the platform would, and counts by method and path."""

    async def answer(request: Request) -> Response:
        path = "/v1/items" if request.url.path.startswith("/v1/items") else request.url.path
        seen[f"{request.method} {path}"] += 1
        if request.url.path == "/oauth2/token":
            await asyncio.sleep(0.05)  # others want one meanwhile
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
        await traffic.run(count=301)

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


def signing_in(passwords: dict[str, str]) -> Starlette:
    """A sign-in page with what these people have; who has a one-time password chooses another."""

    async def answer(request: Request) -> Response:
        if request.method == "GET":
            return HTMLResponse(PAGE, headers={"set-cookie": "page=read; Path=/"})
        form = await request.form()
        assert (request.cookies["page"], form["csrf"]) == ("read", "a")
        if request.url.path == "/login/new-password":
            passwords[request.cookies["step"]] = str(form["new_password"])
            return Response(status_code=303, headers={"location": "/account"})
        email, typed = str(form["email"]), str(form["password"])
        if typed != passwords.get(email):
            return HTMLResponse(PAGE, status_code=401)
        to = "/login/new-password" if typed.startswith("once") else "/account"
        return Response(status_code=303, headers={"location": to, "set-cookie": f"step={email}; Path=/"})

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


async def test_people_are_made_once_and_sign_in_with_passwords_of_their_own(tmp_path: Path) -> None:
    passwords: dict[str, str] = {}

    def operator(*words: str) -> str:
        passwords[words[2]] = f"once-{len(passwords)}"
        return f"one-time password: {passwords[words[2]]}\ngood until tomorrow\n"

    file = tmp_path / "people"
    transport = httpx2.ASGITransport(app=signing_in(passwords))
    async with httpx2.AsyncClient(transport=transport, base_url="http://a") as http:
        made = await people(http, "", file, operator)
        again = await people(http, "", file, operator)
        passwords.clear()  # another database
        anew = await people(http, "", file, operator)

    assert again == made
    assert dict(anew) == passwords
    assert len(made) == len(anew) == PEOPLE
    assert not dict(made).keys() & dict(anew).keys()
    assert file.stat().st_mode & 0o777 == 0o600


async def test_most_sign_ins_are_by_people_with_the_right_password_and_some_fail() -> None:
    transport = httpx2.ASGITransport(app=signing_in({"a@b.test": "right"}))
    async with httpx2.AsyncClient(transport=transport, base_url="http://a") as http:
        traffic = Traffic(http, ("id", "secret"), [("a@b.test", "right")])
        answers = [await traffic._sign_in() for _ in range(200)]

    assert 100 < answers.count(303) < 190
    assert answers.count(303) + answers.count(401) == 200


async def test_browsers_share_no_cookies() -> None:
    transport = httpx2.ASGITransport(app=signing_in({}))
    async with httpx2.AsyncClient(transport=transport, base_url="http://a") as http:
        Traffic(http, ("id", "secret"))
        first, second = Forms(http), Forms(http)
        await first.open("/login")
        await second.open("/login")

        assert dict(http.cookies) == {}
        assert (await second.send("/login", email="x", password="y")).status_code == 401

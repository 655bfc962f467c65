"""What is asked first: who are you, may you; only then is a body read."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from services.common.tokens import TokenVerifier
from services.items.router import router
from tests.items.conftest import GOOD, Caller, MakeCaller
from tests.items.test_api import assert_problem

WRITES = [("POST", "/v1/items"), ("PUT", "/v1/items/1"), ("PATCH", "/v1/items/1")]
JSON = {"Content-Type": "application/json"}
BODIES = [
    pytest.param(b"{", JSON, id="no JSON"),
    pytest.param(b"{}", JSON, id="members missing"),
    pytest.param(b"\xff", JSON, id="no text"),
    pytest.param(b"a", {"Content-Type": "text/plain"}, id="another type"),
    pytest.param(b"[" * 100_000, JSON, id="deep"),
]


def routes() -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]


def dependants(of: Dependant) -> Iterator[Dependant]:
    for dependant in of.dependencies:
        yield dependant
        yield from dependants(dependant)


def is_asynchronous(call: Any) -> bool:
    functions = (call, getattr(call, "__call__", None))  # noqa: B004 - an object's own, to be looked at
    return any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in functions)


def test_no_dependency_is_a_plain_function_that_would_run_in_a_thread() -> None:
    calls = {dependant.call for route in routes() for dependant in dependants(route.dependant)}

    assert len(calls) > 5
    assert [call for call in calls if not is_asynchronous(call)] == []
    assert all(is_asynchronous(route.endpoint) for route in routes())


@pytest.mark.parametrize(("body", "headers"), BODIES)
@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_stranger_is_401_whatever_the_body(
    client: httpx2.AsyncClient, method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    assert_problem(await client.request(method, path, content=body, headers=headers), 401)


@pytest.mark.parametrize(("body", "headers"), BODIES)
@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_caller_without_the_scope_is_403_whatever_the_body(
    caller: MakeCaller, method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    reader = caller(scope="items:read items:admin")

    answer = await reader.client.request(method, path, content=body, headers=reader.headers | headers)

    assert_problem(answer, 403)
    assert 'scope="items:write"' in answer.headers["www-authenticate"]


async def too_long() -> AsyncIterator[bytes]:
    """A body whose length is not announced: that of one that is, is refused before anybody looks at the request."""
    for _ in range(3):
        yield b"x" * 500_000


@pytest.mark.parametrize(("scope", "status"), [(None, 401), ("items:read", 403), ("items:write", 413)])
async def test_a_body_too_long_is_413_for_those_only_who_may_send_one(
    client: httpx2.AsyncClient, caller: MakeCaller, scope: str | None, status: int
) -> None:
    headers = {} if scope is None else caller(scope=scope).headers

    assert_problem(await client.post("/v1/items", content=too_long(), headers=headers | JSON), status)


async def test_a_stranger_is_answered_before_the_body_arrives(client: httpx2.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    try:
        writer.write(
            b"POST /v1/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        async with asyncio.timeout(30):
            status = await reader.readline()
    finally:
        writer.close()

    assert status.split()[1] == b"401"


async def test_a_token_is_checked_once_a_request(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = 0
    original = TokenVerifier.verify

    async def counting(self: TokenVerifier, token: str) -> Any:
        nonlocal checked
        checked += 1
        return await original(self, token)

    monkeypatch.setattr(TokenVerifier, "verify", counting)

    assert (await alice.ask("POST", json=GOOD)).status_code == 201
    assert checked == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps(GOOD).encode("utf-16"), 400),
        (json.dumps(GOOD).encode("utf-16-le"), 422),
        (json.dumps(GOOD).encode("utf-32"), 400),
        (json.dumps(GOOD).encode("utf-8-sig"), 422),
        (b'{"name": "a", "name": "b", "price_minor": 1, "currency": "EUR"}', 400),
        (b'{"name": "a", "n\\u0061me": "b", "price_minor": 1, "currency": "EUR"}', 400),
        (b'{"name": "a", "price_minor": 1, "currency": "EUR", "tags": [{"a": 1, "a": 1}]}', 400),
    ],
)
async def test_json_is_read_in_utf_8_with_each_member_once(alice: Caller, body: bytes, status: int) -> None:
    item = await alice.create()

    for method, path in (("POST", ""), ("PUT", f"/{item['id']}"), ("PATCH", f"/{item['id']}")):
        answer = await alice.ask(method, path, content=body, headers=JSON)
        problem = assert_problem(answer, status)
        assert "error parsing" not in problem.get("detail", "")
    assert (await alice.get(item["id"])).json() == item

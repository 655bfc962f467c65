"""Tokens are checked before anything goes to a service, and the verdict is kept no longer than it holds."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.gateway.conftest import Gateway, MakeGateway, Pod
from tests.support.tokens import Issuer, key_server


@pytest.fixture
async def gateway(make_gateway: MakeGateway, recorder: Pod) -> AsyncIterator[Gateway]:
    async with make_gateway({"/v1/a": {"upstream": recorder.url, "public": False}, "/login": recorder.url}) as made:
        yield made


def presented(token: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", b"Bearer " + token.encode())]


async def test_with_a_good_token_the_service_gets_the_request_and_the_token(
    gateway: Gateway, recorder: Pod, issuer: Issuer
) -> None:
    headers = issuer.headers()
    answer = await gateway.client.get("/v1/a", headers=headers)

    assert answer.text == "hello"
    assert f"authorization: {headers['Authorization']}".encode() in recorder.heads[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"header": {"typ": "JWT"}},
        {"header": {"kid": "another"}},
    ],
    ids=repr,
)
async def test_without_a_good_token_nothing_goes_to_the_service(
    gateway: Gateway, recorder: Pod, issuer: Issuer, changes: dict[str, Any]
) -> None:
    for _ in range(2):
        answer = await gateway.client.get("/v1/a", headers=issuer.headers(**changes))

        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert recorder.opened == 0


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Authorization: Basic YTpi\r\n",
        b"Authorization: Bearer\r\n",
        b"Authorization: Bearer  \r\n",
        b"Authorization: %b\r\nAuthorization: %b\r\n",
        b"Authorization: %b, %b\r\n",
        b"Proxy-Authorization: %b\r\n",
        b"X-Authorization: %b\r\n",
        b"Cookie: access_token=%b\r\n",
    ],
)
async def test_there_is_one_way_to_present_a_token(
    gateway: Gateway, recorder: Pod, issuer: Issuer, lines: bytes
) -> None:
    token = issuer.headers()["Authorization"].encode()
    head = b"GET /v1/a?access_token=%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" % token[7:]
    answer = await gateway.exchange(head + lines.replace(b"%b", token) + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert recorder.opened == 0


async def test_public_paths_need_none_and_pass_what_is_presented(gateway: Gateway, recorder: Pod) -> None:
    answer = await gateway.client.get("/login", headers={"Authorization": "Basic YTpi"})

    assert answer.text == "hello"
    assert b"authorization: Basic YTpi\r\n" in recorder.heads[0]


async def test_websockets_need_one_too(gateway: Gateway, recorder: Pod) -> None:
    answer = await gateway.exchange(
        b"GET /v1/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert recorder.opened == 0


async def test_without_keys_it_is_503_and_nothing_is_remembered(
    make_gateway: MakeGateway, recorder: Pod, issuer: Issuer
) -> None:
    with key_server(issuer) as keys:
        keys.status = 500
        route = {"upstream": recorder.url, "public": False}
        async with make_gateway({"/v1/a": route}, jwks_url=keys.url, wait_ready=False) as gateway:
            answer = await gateway.client.get("/v1/a", headers=issuer.headers())

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert recorder.opened == 0

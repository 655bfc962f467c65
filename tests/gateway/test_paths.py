"""A path is refused, or means the same here and in the service: no reading of it opens another door."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from tests.gateway.conftest import Gateway, MakeGateway
from tests.support.clients import app_client

# asked, and the path as the service reads it; None where the gateway has no such route; its own status where it answers
TABLE: list[tuple[str, str | int | None]] = [
    ("/v1/open", "/v1/open"),
    ("/v1/open/", "/v1/open/"),
    ("/v1/open/a", "/v1/open/a"),
    ("/v1/open?a=/v1/guarded", "/v1/open"),
    ("/v1/open?a=../../guarded", "/v1/open"),
    ("/v1/%6fpen/a", "/v1/open/a"),
    ("/%76%31/open/a", "/v1/open/a"),
    ("/v1/open/a%20b", "/v1/open/a b"),
    ("/v1/open/%C3%BC", "/v1/open/ü"),
    ("/v1/open/%3f", "/v1/open/?"),
    ("/v1/open/%23", "/v1/open/#"),
    ("/v1/open/a%25", "/v1/open/a%"),
    ("/v1/open/%252e%252e/guarded", "/v1/open/%2e%2e/guarded"),
    ("/v1/open/%252f", "/v1/open/%2f"),
    ("/v1/open/...", "/v1/open/..."),
    ("/v1/open/.hidden", "/v1/open/.hidden"),
    ("/v1/open/a..", "/v1/open/a.."),
    ("/v1/open/a;b=c", "/v1/open/a;b=c"),
    ("/v1/open/a:b@c", "/v1/open/a:b@c"),
    ("/v1/open/*", "/v1/open/*"),
    ("http://other.example/v1/open/a", "/v1/open/a"),
    ("http://user@other.example:99/v1/open", "/v1/open"),
    ("/v1/open#/v1/guarded", "/v1/open"),
    ("/V1/open", None),
    ("/v1/Open", None),
    ("/v1/OPEN", None),
    ("/v1/opened", None),
    ("/v1/open;a", None),
    ("/v1/open%20", None),
    ("/v1/open.json", None),
    ("/v1/open%3fa", None),
    ("/v1/open%23a", None),
    ("/v1;/open", None),
    ("/v1%2e/open", None),
    ("/", 200),
    ("//", 400),
    ("//v1/open", 400),
    ("/v1//open", 400),
    ("/v1/open//", 400),
    ("/v1/open//guarded", 400),
    ("//other.example/v1/open", 400),
    ("/v1/open/../guarded", 400),
    ("/v1/open/..", 400),
    ("/v1/open/.", 400),
    ("/v1/./open", 400),
    ("/../v1/open", 400),
    ("/v1/open/%2e%2e/guarded", 400),
    ("/v1/open/%2E%2E/guarded", 400),
    ("/v1/open/.%2e/guarded", 400),
    ("/v1/open/%2e./guarded", 400),
    ("/v1/open/%2e", 400),
    ("/v1/open/..;/guarded", 400),
    ("/v1/open/..;a=b/guarded", 400),
    ("/v1/open/%2e%2e;x/guarded", 400),
    ("/v1/open/%2e%2e%3bx/guarded", 400),
    ("/v1/open/.;/guarded", 400),
    ("/v1%2fopen", 400),
    ("/v1%2Fopen", 400),
    ("/v1/open%2f..%2fguarded", 400),
    ("/v1/open/..%2fguarded", 400),
    ("/v1/open%5c..%5cguarded", 400),
    ("/v1/open\\..\\guarded", 400),
    ("/v1\\open", 400),
    ("\\v1\\open", 400),
    ("/v1/open%00", 400),
    ("/v1/open/%00/guarded", 400),
    ("/v1/open/a%0d%0aX-User-Id:%20admin", 400),
    ("/v1/open/a%0A", 400),
    ("/v1/open/a%09", 400),
    ("/v1/open/a%7f", 400),
    ("/v1/open/a%1B", 400),
    ("/v1/open/\x01", 400),
    ("/v1/open/a\x00b", 400),
    ("/v1/open/a\tb", 400),
    ("/v1/open/%", 400),
    ("/v1/open/%2", 400),
    ("/v1/open/%zz", 400),
    ("/v1/open/%u002e", 400),
    ("/v1/open/%ff", 400),
    ("/v1/open/%c0%ae%c0%ae/guarded", 400),
    ("/v1/open/%c0%af", 400),
    ("/v1/open/%ed%a0%80", 400),
    ("*", 400),
    ("v1/open", 400),
    ("", 400),
    ("?a", 400),
    ("other.example:443", 400),
]


@dataclass
class Service:
    """A service that keeps the paths it was asked for."""

    paths: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
        else:
            await Starlette()(scope, receive, send)


@pytest.fixture(scope="module")
def service() -> Service:
    return Service()


@pytest.fixture(scope="module")
async def gateway(make_gateway: MakeGateway, service: Service) -> AsyncIterator[Gateway]:
    async with app_client(service) as behind:
        url = f"http://127.0.0.1:{behind.base_url.port}"
        async with make_gateway(
            {
                "/v1/open": url,
                "/v1/guarded": {"upstream": url, "public": False},
                "/v1": {"upstream": url, "public": False},
            }
        ) as made:
            yield made


async def ask(gateway: Gateway, target: str, method: str = "GET") -> int:
    request = f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    answer = await gateway.exchange(request)
    assert b"application/problem+json" in answer or b" 200 OK" in answer, answer
    return int(answer.split()[1])


@pytest.mark.parametrize(("target", "meant"), TABLE, ids=[repr(target) for target, _ in TABLE])
async def test_it_is_refused_or_read_alike(gateway: Gateway, service: Service, target: str, meant: object) -> None:
    service.paths.clear()
    status = await ask(gateway, target)

    if isinstance(meant, str):
        assert (status, service.paths) == (200, [meant])
    else:
        # without a route of its own it falls to that of /v1, which wants a token, or to none
        assert status == meant or (meant is None and status in {401, 404})
        assert service.paths == []


async def test_the_longest_route_decides(make_gateway: MakeGateway, service: Service) -> None:
    async with app_client(service) as behind:
        url = f"http://127.0.0.1:{behind.base_url.port}"
        guarded = {"upstream": url, "public": False}
        async with make_gateway({"/v1": guarded, "/v1/open": url, "/v1/open/not": guarded}) as gateway:
            asked = {
                path: await ask(gateway, path)
                for path in ("/v1", "/v1/x", "/v1/open/x", "/v1/open/not", "/v1/open/note")
            }

    assert asked == {"/v1": 401, "/v1/x": 401, "/v1/open/x": 200, "/v1/open/not": 401, "/v1/open/note": 200}

"""The longest route wins, whatever is asked for, and how many routes there are costs a request nothing."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Match

from services.common.metrics import handler_of
from services.gateway.routes import NamedRoutes, Route, Routes, parse_routes
from tests.gateway.conftest import MakeGateway, Pod

SEGMENTS = ("a", "b", "ab", "a.b", "~", "-")
routed = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
# whatever may be asked for: of the routes' own words, with slashes and dots anywhere, and of any characters
asked = st.one_of(
    st.lists(st.sampled_from((*SEGMENTS, "/", "//", "", ".", "..", "A", "é", "%2f", "\0")), max_size=14).map("".join),
    st.lists(st.sampled_from((*SEGMENTS, "")), max_size=9).map(lambda parts: "/" + "/".join(parts)),
    st.text(max_size=12),
)


def table(paths: Sequence[str]) -> list[Route]:
    return list(parse_routes(dict.fromkeys(paths, "http://a")))


def one_after_the_other(routes: Sequence[Route], path: str) -> Route | None:
    """The plain rule: of the routes that cover a path the one with the longest path."""
    covering = [route for route in routes if route.covers(path)]
    return max(covering, key=lambda route: len(route.path), default=None)


@given(
    paths=st.lists(routed, min_size=1, max_size=12, unique=True), path=asked, ending=st.sampled_from(["", "/", "//"])
)
def test_what_is_found_is_the_longest_route_that_covers_a_path(paths: list[str], path: str, ending: str) -> None:
    routes = table(paths)
    found = Routes(routes)

    for tried in (path + ending, *(f"{route}{more}" for route in paths for more in (ending, path, f"/{path}"))):
        assert found.find(tried) is one_after_the_other(routes, tried), tried


class Counting(dict[str, Route]):
    """Counts how often it is looked into."""

    looked = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.looked += 1
        return super().get(key, default)


@pytest.mark.parametrize("path", ["/" * 10_000, "/a" * 10_000, "/v1/items" + "/" * 10_000, "/v1/items" + "/x" * 10_000])
def test_ten_thousand_slashes_cost_no_more_look_ups_than_the_deepest_route_has_segments(path: str) -> None:
    routes = Routes(table(["/v1/items", "/v1/items/of/all", "/login"]))
    routes._by_path = counting = Counting(routes._by_path)

    found = routes.find(path)

    assert (found and found.path) == ("/v1/items" if path.startswith("/v1/items") else None)
    assert counting.looked <= 4


def test_a_thousand_routes_are_not_looked_at_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = Routes(table([f"/v1/route-{number}" for number in range(1000)]))
    monkeypatch.setattr(Route, "covers", lambda *_: pytest.fail("was looked at by itself"))
    routes._by_path = counting = Counting(routes._by_path)

    found = [routes.find(f"/v1/route-{number}/item") for number in range(1000)]

    assert [route and route.path for route in found] == [f"/v1/route-{number}" for number in range(1000)]
    assert counting.looked == 2000


def test_what_the_framework_asks_for_a_name_is_named_by_the_longest_route() -> None:
    app = Starlette()
    app.router.routes.append(NamedRoutes(Routes(table(["/v1", "/v1/items", "/login"]))))
    scope = {"type": "http", "method": "GET", "headers": [], "app": app}

    paths = ("/v1/items/7", "/v1/users", "/login", "/v1/items", "/loginx", "/")

    assert [handler_of(scope | {"path": path}) for path in paths] == [
        "/v1/items", "/v1", "/login", "/v1/items", "none", "none",
    ]  # fmt: skip


def test_only_requests_and_web_sockets_have_a_route() -> None:
    routes = NamedRoutes(Routes(table(["/v1/items"])))

    matched = [routes.matches({"type": kind, "path": "/v1/items"})[0] for kind in ("http", "websocket", "lifespan")]

    assert matched == [Match.FULL, Match.FULL, Match.NONE]


async def test_a_request_refused_for_its_size_is_counted_by_its_route(make_gateway: MakeGateway, recorder: Pod) -> None:
    async with make_gateway({"/v1/items": recorder.url, "/v1/users": recorder.url}, max_body_bytes=10) as gateway:
        answer = await gateway.client.post("/v1/items/7", content=b"x" * 11)

        assert answer.status_code == 413
        assert gateway.sample("http_requests_total", method="POST", handler="/v1/items", status="413") == 1


def test_what_a_route_and_a_limit_are_made_of_is_computed_once() -> None:
    (route,) = table(["/login"])

    assert route.quotas is route.quotas
    assert [quota.title for quota in route.quotas] == ["address-1s", "address-60s-post/login"]
    assert all(quota.title is quota.title for quota in route.quotas)
    assert (route, hash(route)) == (table(["/login"])[0], hash(table(["/login"])[0]))

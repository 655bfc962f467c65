"""One request, one tree: from whoever is in front of the gateway to the last statement, and no secret in it."""

import asyncio
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import httpx2
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.traces import Collector, Node, serving
from tests.support.trio import MACHINE, SECRET, Trio, migrated, trio
from tests.support.waits import SECONDS, until

EDGE = "b7ad6b7169203331"
CANARY = "c4nary" + secrets.token_hex(8)
LAMP = {"name": "lamp", "price_minor": 1999, "currency": "EUR", "description": CANARY}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
async def running(collector: Collector, postgres_url: str, redis_url: str) -> AsyncIterator[Trio]:
    with ExitStack() as stack:
        databases = await migrated(stack, postgres_url)
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        yield stack.enter_context(trio(databases, redis_url, **env))


class Tracing:
    """Asks the gateway as an edge that records would, and finds what was recorded."""

    def __init__(self, running: Trio, collector: Collector) -> None:
        self.collector = collector
        self.running = running
        self.client = httpx2.AsyncClient(base_url=running.gateway.url, timeout=30)
        self.headers = {"Authorization": f"Bearer {running.token()}"}

    async def ask(self, method: str, path: str, **options: object) -> tuple[httpx2.Response, Node]:
        """The answer and the tree of one request; there is exactly one, below the edge's span."""
        trace_id = uuid.uuid4().hex
        headers = {"traceparent": f"00-{trace_id}-{EDGE}-01", **self.headers, **options.pop("headers", {})}  # type: ignore[dict-item]
        answer = await self.client.request(method, path, headers=headers, **options)  # type: ignore[arg-type]
        await until(
            lambda: is_whole(self.collector.trees(trace_id)),
            f"one tree of {method} {path}",
            lambda: "".join(tree.outline() for tree in self.collector.trees(trace_id)),
        )
        trees = self.collector.trees(trace_id)
        assert len(trees) == 1, "".join(tree.outline() for tree in trees)
        assert trees[0].span.parent_span_id.hex() == EDGE
        return answer, trees[0]


def is_whole(trees: list[Node]) -> bool:
    """Whether all is one tree with the gateway's request at its root, and what it asked of services is answered there.

    Spans leave in the order of their ends: who has that of a request has those of its statements.
    """
    if len(trees) != 1 or (trees[0].service, trees[0].span.kind) != ("gateway", Span.SPAN_KIND_SERVER):
        return False
    return all(child.children for child in trees[0].children if child.attribute("url.path"))


@pytest.fixture
async def tracing(running: Trio, collector: Collector) -> AsyncIterator[Tracing]:
    tracing = Tracing(running, collector)
    async with tracing.client:
        yield tracing


def asked(tree: Node, *names: str) -> list[bool]:
    """Whether there are spans whose names begin so."""
    return [any(node.name.startswith(name) for node in tree.all()) for name in names]


def path_to(tree: Node, service: str, *names: str) -> None:
    """Assert that edge → gateway → its own client span → service, and below that spans of these names."""
    assert (tree.service, tree.attribute("http.route")) == ("gateway", tree.name.partition(" ")[2])
    asked = [child for child in tree.children if child.span.kind == child.span.SPAN_KIND_CLIENT and child.children]
    assert len(asked) == 1, tree.outline()
    (server,) = asked[0].children
    assert (server.service, server.span.kind) == (service, server.span.SPAN_KIND_SERVER), tree.outline()
    below = [node.name for node in server.all()]
    for name in names:
        assert any(found.startswith(name) for found in below), tree.outline()


async def test_a_write_goes_from_the_edge_to_sql_in_one_tree(tracing: Tracing) -> None:
    answer, tree = await tracing.ask("POST", "/v1/items", json=LAMP)

    assert answer.status_code == 201
    path_to(tree, "items", "INSERT", "COMMIT")
    (asked,) = [node for node in tree.children if node.attribute("url.path")]
    assert asked.attribute("url.path") == "/v1/items"
    assert asked.attribute("server.port") == str(tracing.running.items.port)


async def test_a_read_that_the_cache_has_not_goes_to_redis_and_sql_and_the_next_to_redis_alone(
    tracing: Tracing,
) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            created, _ = await tracing.ask("POST", "/v1/items", json=LAMP)
            path = f"/v1/items/{created.json()['id']}"
            (_, first), (_, second) = [await tracing.ask("GET", path) for _ in range(2)]
            # an item is read without the cache where that took longer than it may: then with another one
            if [asked(tree, "EVALSHA", "SELECT") for tree in (first, second)] == [[True, True], [True, False]]:
                break

    path_to(first, "items", "EVALSHA", "SELECT")
    path_to(second, "items", "EVALSHA")


async def test_requests_that_wait_for_their_limits_together_have_each_its_wait_recorded(tracing: Tracing) -> None:
    asked = await asyncio.gather(*(tracing.ask("GET", "/v1/items") for _ in range(20)))

    for _, tree in asked:
        assert [node.name for node in tree.children].count("limits") == 1, tree.outline()
    below = [node.name for _, tree in asked for node in tree.all() if node.service == "gateway"]
    assert 1 <= below.count("EVALSHA") <= below.count("limits") == len(asked)


async def test_a_token_is_asked_for_in_one_tree(tracing: Tracing) -> None:
    form = {"grant_type": "client_credentials"}
    credentials = httpx2.BasicAuth(MACHINE, SECRET)
    answer, tree = await tracing.ask(
        "POST", "/oauth2/token", data=form, auth=credentials, headers={"Authorization": ""}
    )

    assert answer.status_code == 200, answer.text
    path_to(tree, "auth", "INSERT", "COMMIT")


async def test_the_gateways_own_pages_and_refusals_are_trees_too(tracing: Tracing) -> None:
    _, own = await tracing.ask("GET", "/openapi.json")
    refused, tree = await tracing.ask("GET", "/v1/items", headers={"Authorization": "Bearer wrong"})

    assert (own.name, refused.status_code) == ("GET /openapi.json", 401)
    assert tree.attribute("http.response.status_code") == "401"
    assert not any(node.service == "items" for node in tree.all())


async def test_a_request_is_found_by_the_id_that_was_answered(tracing: Tracing) -> None:
    answer, tree = await tracing.ask("GET", "/v1/items")

    assert tree.attribute("request.id") == answer.headers["x-request-id"]
    assert {n.attribute("request.id") for n in tree.all() if n.service == "items"} >= {answer.headers["x-request-id"]}


async def test_a_request_that_the_caller_does_not_record_is_recorded_by_nobody_and_logged_with_its_trace(
    tracing: Tracing, running: Trio
) -> None:
    trace_id = uuid.uuid4().hex
    headers = {**tracing.headers, "traceparent": f"00-{trace_id}-{EDGE}-00"}
    await tracing.client.get("/v1/items", headers=headers)
    await tracing.ask("GET", "/v1/items")  # what came before has been sent by then

    assert tracing.collector.trees(trace_id) == []
    for process in (running.gateway, running.items):
        lines = [json.loads(line) for line in process.log.splitlines() if trace_id in line]
        # and on a busy machine that some Redis took too long
        assert [line["event"] for line in lines].count("request_finished") == 1


async def test_no_canary_is_in_any_span(tracing: Tracing, collector: Collector) -> None:
    query = f"code={CANARY}&token={CANARY}&state={CANARY}"
    form = {"grant_type": "authorization_code", "code": CANARY, "refresh_token": CANARY, "client_secret": CANARY}
    await tracing.ask("GET", f"/oauth2/authorize?{query}")
    await tracing.ask("POST", f"/oauth2/token?{query}", data=form)
    await tracing.ask("POST", "/login", data={"email": f"{CANARY}@slipway.test", "password": CANARY})
    await tracing.ask("POST", f"/v1/items?{query}", json=LAMP)
    await tracing.ask("GET", f"/v1/items?name_prefix={CANARY}")
    await tracing.ask("GET", "/v1/items", headers={"Authorization": f"Bearer {CANARY}", "Cookie": f"session={CANARY}"})

    assert not any(CANARY.encode() in body for body in collector.bodies)
    assert any(b"INSERT INTO" in body for body in collector.bodies)  # statements are there, their values are not


async def test_nothing_is_recorded_of_what_services_do_by_themselves(collector: Collector, tracing: Tracing) -> None:
    await tracing.ask("GET", "/v1/items")
    await asyncio.sleep(0.3)  # what the services send by themselves

    lost = [n for n in collector.nodes() if not n.span.parent_span_id and n.span.kind != n.span.SPAN_KIND_SERVER]
    assert [node.name for node in lost] == []

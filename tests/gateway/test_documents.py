"""The gateway's own paths: the merged document, the start page, the pages of the API."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.gateway import router
from services.gateway.resolver import NobodyError
from tests.gateway.conftest import MakeGateway, Pod, Writer, pod
from tests.support import waits

DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Things", "version": "1.2.3<"},
    "paths": {
        "/v1/a": {"get": {"responses": {"200": {"description": "ok"}}}},
        "/internal": {"get": {"responses": {"200": {"description": "ok"}}}},
    },
}


@dataclass
class Service:
    """A pod that serves a document, or whatever a test has it serve."""

    document: Any = field(default_factory=lambda: DOCUMENT)
    status: int = 200

    async def script(self, reader: Any, writer: Writer) -> None:
        while True:
            await reader.head()
            body = self.document if isinstance(self.document, bytes) else json.dumps(self.document).encode()
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (self.status, len(body)) + body)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def standing(service: Service) -> AsyncIterator[Pod]:
    async with pod(service.script) as opened:
        yield opened


async def paths_of(client: Any) -> list[str]:
    return list((await client.get("/openapi.json")).json()["paths"])


async def until_paths(client: Any, expected: list[str]) -> None:
    async with asyncio.timeout(waits.SECONDS):
        while await paths_of(client) != expected:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.02)


async def test_the_document_holds_what_is_routed_of_what_services_serve_from_inside(
    make_gateway: MakeGateway, standing: Pod
) -> None:
    routes = {"/v1/a": standing.url, "/v1/b": "http://127.0.0.1:1"}
    async with make_gateway(routes, documents_seconds=0.1) as gateway:
        await until_paths(gateway.client, ["/v1/a"])
        answer = await gateway.client.get("/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["info"]["title"] == "Slipway"
    assert standing.heads[0].startswith(b"GET /openapi.json HTTP/1.1\r\n")
    assert b"authorization" not in standing.heads[0].lower()


async def test_the_last_good_copy_is_kept(make_gateway: MakeGateway, service: Service, standing: Pod) -> None:
    bad: list[tuple[int, Any]] = [(500, DOCUMENT), (200, b"nonsense"), (200, {"openapi": "3.0.0"}), (200, b"x" * 2**23)]
    async with make_gateway({"/v1/a": standing.url}, documents_seconds=0.02) as gateway:
        await until_paths(gateway.client, ["/v1/a"])
        for service.status, service.document in bad:
            asked = len(standing.heads)
            await waits.until(lambda asked=asked: len(standing.heads) > asked + 2, "two more rounds")  # type: ignore[misc]
            assert await paths_of(gateway.client) == ["/v1/a"]

        service.status, service.document = 200, {**DOCUMENT, "paths": {"/v1/a/new": {}}}
        await until_paths(gateway.client, ["/v1/a/new"])


async def test_who_has_the_document_is_told_so_until_it_changes(
    make_gateway: MakeGateway, service: Service, standing: Pod
) -> None:
    async with make_gateway({"/v1/a": standing.url}, documents_seconds=0.05) as gateway:
        await until_paths(gateway.client, ["/v1/a"])
        tag = (await gateway.client.get("/openapi.json")).headers["etag"]
        same = await gateway.client.get("/openapi.json", headers={"If-None-Match": tag})
        service.document = {**DOCUMENT, "paths": {}}
        await until_paths(gateway.client, [])
        changed = await gateway.client.get("/openapi.json", headers={"If-None-Match": tag})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)


async def test_without_any_service_there_is_a_document_all_the_same(make_gateway: MakeGateway) -> None:
    async with make_gateway({"/v1/a": "http://127.0.0.1:1"}) as gateway:
        assert await paths_of(gateway.client) == []


async def test_the_start_page_says_what_runs_in_which_version_and_how_it_is(
    make_gateway: MakeGateway, service: Service, standing: Pod
) -> None:
    async def resolve(host: str, _: int) -> list[str]:
        if host == "slipway-gone-pods.slipway.test.":
            raise NobodyError
        return ["127.0.0.1"]

    routes = {
        "/v1/a": f"http://things.test:{standing.port}",
        "/v1/a/more": f"http://things.test:{standing.port}",
        "/v1/b": {"upstream": "http://slipway-gone-pods.slipway.test.:80", "service": "gone"},
        "/v1/c": "http://silent.test:1",
    }
    async with make_gateway(routes, resolve=resolve, documents_seconds=0.05) as gateway:
        await until_paths(gateway.client, ["/v1/a"])
        page = await gateway.client.get("/")
        service.status = 503
        asked = len(standing.heads)
        await waits.until(lambda: len(standing.heads) > asked + 2, "two more rounds")
        later = await gateway.client.get("/")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    rows = rows_of(page.text)
    assert rows["gateway"][0] == ("good", "ready")
    assert rows["things"] == [("good", "ready: 1 pod"), "1.2.3&lt;", "/v1/a /v1/a/more"]
    assert rows["gone"] == [("bad", "no pod is ready"), "unknown", "/v1/b"]
    assert rows["silent"] == [("bad", "does not answer: 1 pod"), "unknown", "/v1/c"]
    assert rows_of(later.text)["things"] == [("bad", "does not answer: 1 pod"), "1.2.3&lt;", "/v1/a /v1/a/more"]
    assert {'href="/docs"', 'href="/openapi.json"'} <= set(re.findall(r'href="[^"]*"', page.text))


def rows_of(html: str) -> dict[str, list[Any]]:
    row = r'<tr><td>(.*?)</td><td class="(.*?)">(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>'
    return {
        name: [(kind, state), version, re.sub("<.*?>", "", codes)]
        for name, kind, state, version, codes in re.findall(row, html)
    }


async def test_the_pages_load_nothing_from_elsewhere_and_their_style_is_the_one_that_is_allowed(
    make_gateway: MakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in router.UI_FILES:
        (tmp_path / name).write_text("/* of Swagger UI */")
    async with make_gateway({"/v1/a": "http://127.0.0.1:1"}) as gateway:
        monkeypatch.setattr(router, "UI_FOLDER", tmp_path)
        start, docs = await gateway.client.get("/"), await gateway.client.get("/docs")
        script = await gateway.client.get("/docs/start.js")

    style = start.text.partition("<style>")[2].partition("</style>")[0]
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    for answer, policy in (
        (start, f"style-src 'sha256-{allowed}'"),
        (docs, "script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"),
    ):
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == (
            f"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; {policy}"
        )
        assert answer.headers["x-frame-options"] == "DENY"
    for text in (start.text, docs.text, script.text):
        assert "//" not in text.replace("<!--", "")
        assert not re.search(r"<script>|\son\w+=|style=", text)
    assert script.headers["content-type"].startswith("text/javascript")


async def test_the_files_of_swagger_ui_are_served_and_no_others(
    make_gateway: MakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*router.UI_FILES, "secret.txt"):
        (tmp_path / name).write_text(name)
    async with make_gateway({"/v1/a": "http://127.0.0.1:1"}) as gateway:
        monkeypatch.setattr(router, "UI_FOLDER", tmp_path)
        files = {name: await gateway.client.get(f"/docs/{name}") for name in router.UI_FILES}
        others = [await gateway.client.get(f"/docs/{name}") for name in ("secret.txt", "..%5Csecret.txt", "a/b", "")]

    for name, answer in files.items():
        assert (answer.status_code, answer.text) == (200, name)
        assert answer.headers["content-type"].partition(";")[0] == router.UI_FILES[name]
    assert [answer.status_code for answer in others] == [404, 400, 404, 404]


async def test_without_swagger_ui_the_page_says_so(
    make_gateway: MakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_gateway({"/v1/a": "http://127.0.0.1:1"}) as gateway:
        monkeypatch.setattr(router, "UI_FOLDER", tmp_path)
        page = await gateway.client.get("/docs")
        missing = await gateway.client.get("/docs/swagger-ui.css")

    assert page.status_code == 404
    assert "make docs-ui" in page.text
    assert "/openapi.json" in page.text
    assert missing.json()["type"] == "/problems/not-found"

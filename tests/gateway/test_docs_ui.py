"""Swagger UI as a browser shows it under the gateway's own policy."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.gateway import router
from tests.gateway.conftest import MakeGateway, Pod, Writer, pod

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
IS_FETCHED = all((router.UI_FOLDER / name).is_file() for name in router.UI_FILES)
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {},
    "paths": {"/v1/a/{lamp}": {"get": {"operationId": "get_lamp", "responses": {"200": {"description": "ok"}}}}},
}


@pytest.fixture
async def described() -> AsyncIterator[Pod]:
    """A service that says what it answers."""

    async def script(reader: Any, writer: Writer) -> None:
        body = json.dumps(DOCUMENT).encode()
        while True:
            await reader.head()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with pod(script) as standing:
        yield standing


@pytest.mark.skipif(BROWSER is None or not IS_FETCHED, reason="needs Chromium and `make docs-ui`")
async def test_a_browser_shows_the_api_and_finds_nothing_that_the_policy_forbids(
    make_gateway: MakeGateway, described: Pod, tmp_path: Path
) -> None:
    async with make_gateway({"/v1/a": described.url}, documents_seconds=0.05) as gateway:
        html, said = await visited(f"http://127.0.0.1:{gateway.port}/docs", tmp_path, until="get_lamp")

    assert "/v1/a/" in html
    assert "get_lamp" in html
    assert not [line for line in said.splitlines() if "CONSOLE" in line or "Content Security Policy" in line]


async def visited(url: str, folder: Path, *, until: str) -> tuple[str, str]:
    """What a browser makes of a page, and what it says on its console; again until the page holds a word."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={folder}"]
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            str(BROWSER), *options, "--virtual-time-budget=10000", "--dump-dom", url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            html, said = await process.communicate()
        if until in html.decode():
            break
    return html.decode(), said.decode()

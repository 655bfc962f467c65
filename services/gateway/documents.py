"""The OpenAPI documents of the services, fetched again and again in the background; the last good copy is kept."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import structlog
from starlette.types import Message

from services.common.tasks import running
from services.gateway.client import Request, RequestBody
from services.gateway.exceptions import UpstreamError
from services.gateway.openapi import Document, merge, parse
from services.gateway.routes import Routes
from services.gateway.upstreams import Upstream

SOON_SECONDS = 1.0  # after a round in which a service has not told anything yet; doubled each time
TIMEOUT_SECONDS = 5.0
MAX_BYTES = 4 * 1024 * 1024
AUTHORIZE = "/oauth2/authorize"
PATH = b"/openapi.json"  # no route leads there: a service says it only to who reaches it from inside

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """What is known of one service. Its pods are those that are ready: no others are in DNS."""

    name: str
    paths: tuple[str, ...]
    pods: int
    title: str | None  # None: it has not told yet
    version: str | None
    answers: bool  # when it was last asked


class Documents:
    """Knows the last document of each service, and what they are together."""

    def __init__(self, routes: Routes, upstreams: Mapping[str, Upstream], *, version: str, issuer: str) -> None:
        """Take the routes, by which a path belongs to one service, and version and origin of the whole."""
        self._routes = routes
        # with another's identity provider there is no such route, and nobody here knows its paths
        self._sign_in = issuer.rstrip("/") if routes.find(AUTHORIZE) is not None else None
        self._upstreams = named(upstreams, routes.names)
        self._urls = {
            name: url
            for url, upstream in upstreams.items()
            for name in self._upstreams
            if self._upstreams[name] is upstream
        }
        self._version = version
        self._documents: dict[str, Document] = {}
        self._failed: dict[str, str] = {}
        self.merged, self.tag = b"", ""
        self._merge()

    async def fetch(self) -> None:
        """Ask every service once."""
        await asyncio.gather(*(self._fetch(name) for name in self._upstreams))

    @property
    def services(self) -> list[Service]:
        """All of them, by name."""
        return [self._service(name) for name in sorted(self._upstreams)]

    @property
    def complete(self) -> bool:
        """Whether each service has told."""
        return self._documents.keys() == self._upstreams.keys()

    def _service(self, name: str) -> Service:
        info: Mapping[str, Any] = self._documents.get(name, {}).get("info", {})
        known = name in self._documents
        return Service(
            name,
            tuple(sorted(route.path for route in self._routes.all if route.upstream == self._urls[name])),
            len(self._upstreams[name].pods),
            str(info.get("title", name)) if known else None,
            str(info.get("version", "")) if known else None,
            known and name not in self._failed,
        )

    async def _fetch(self, name: str) -> None:
        try:
            document = parse(await _download(self._upstreams[name]))
        except (UpstreamError, TimeoutError, ValueError) as error:
            reason = str(error) or type(error).__name__
            if self._failed.get(name) != reason:
                log.warning("document_not_fetched", service=name, reason=reason)
            self._failed[name] = reason
            return
        self._failed.pop(name, None)
        if document != self._documents.get(name):
            self._documents[name] = document
            self._merge()

    def _merge(self) -> None:
        document = merge(
            self._documents, title="Slipway", version=self._version, serves=self._serves, sign_in=self._sign_in
        )
        self.merged = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")
        self.tag = f'"{hashlib.sha256(self.merged).hexdigest()[:32]}"'

    def _serves(self, name: str, path: str) -> bool:
        route = self._routes.find(path)
        return route is not None and route.upstream == self._urls[name]


def named(upstreams: Mapping[str, Upstream], given: Mapping[str, str]) -> dict[str, Upstream]:
    """A name for each: the given one, or the first word of its host; host and port where that is none, or another's."""
    words = {url: given.get(url) or _word(upstream.host) for url, upstream in upstreams.items()}
    alone = {word for word in words.values() if word and list(words.values()).count(word) == 1}
    return {
        word if (word := words[url]) in alone else upstream.authority.translate(PLAIN): upstream
        for url, upstream in upstreams.items()
    }


PLAIN = {ord(character): "-" for character in ":[]"}  # a name stands in front of components' names


def _word(host: str) -> str:
    try:
        ip_address(host)
    except ValueError:
        return host.partition(".")[0]
    return ""


async def _download(upstream: Upstream) -> bytes:
    """Ask a pod for its document. Raises UpstreamError, TimeoutError, ValueError."""
    body = RequestBody(_never, length=None, chunked=False)
    headers = [(b"host", upstream.authority.encode()), (b"accept", b"application/json")]
    async with asyncio.timeout(2 * TIMEOUT_SECONDS):
        exchange = await upstream.send(Request("GET", PATH, headers, body, TIMEOUT_SECONDS))
        try:
            if exchange.response.status != 200:  # noqa: PLR2004 - OK
                raise ValueError(f"answered {exchange.response.status}")
            received = b""
            while not exchange.response.complete():
                received += await exchange.response.read()
                if len(received) > MAX_BYTES:
                    raise ValueError(f"is longer than {MAX_BYTES} bytes")
            return received
        finally:
            exchange.close()


async def _never() -> Message:
    """There is no client that could hang up."""
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


@asynccontextmanager
async def fetched(documents: Documents, *, every_seconds: float) -> AsyncGenerator[None]:
    """Fetch now, and again for as long as the block lasts; with 0 never."""
    if not every_seconds:
        yield
        return
    async with running(lambda: _keep_fetching(documents, every_seconds), "documents"):
        yield


async def _keep_fetching(documents: Documents, every_seconds: float) -> None:
    soon = SOON_SECONDS
    while True:
        await documents.fetch()
        await asyncio.sleep(every_seconds if documents.complete else min(soon, every_seconds))
        soon *= 2

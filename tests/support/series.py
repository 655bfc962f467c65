"""Floods an application with ten thousand of everything that must not become a label, and counts its series."""

import asyncio
import itertools
import random
import string
import uuid
from collections.abc import Iterable, Iterator

from fastapi import FastAPI

COUNT = 10_000
CONNECTIONS = 8
SECONDS = 120  # for the whole flood, on a busy machine
# methods that the server's parser knows and HTTP itself does not
ODD = (
    "PROPFIND",
    "MKCOL",
    "LOCK",
    "UNLOCK",
    "COPY",
    "MOVE",
    "SEARCH",
    "REPORT",
    "SUBSCRIBE",
    "PURGE",
    "LINK",
    "UNLINK",
)
KNOWN = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
TURN = len(ODD) + len(KNOWN)  # every method is asked of both


def series(app: FastAPI) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Every series of the application's registry: name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in app.state.registry.collect()
        for sample in family.samples
    }


async def flood(port: int, path: str, users: Iterable[str], count: int = COUNT) -> None:
    """`count` requests, none with the id, the path or the method word of another; users take turns.

    Each is asked of `path` (which `{id}` ends), and of a path that nobody serves.
    """
    headers = itertools.cycle([f"Authorization: Bearer {token}\r\n" for token in users])
    rest = iter(_requests(path, headers, count))
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(_ask(port, rest) for _ in range(CONNECTIONS)))


async def words(port: int, count: int) -> None:
    """Ask with method words that nobody has ever heard of, each over a connection of its own: the server hangs up."""
    for _ in range(count):
        word = "".join(random.choices(string.ascii_uppercase, k=9))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{word} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        async with asyncio.timeout(30):
            assert b" 400 " in await reader.read()
        writer.close()


def _requests(path: str, headers: Iterator[str], count: int) -> Iterator[tuple[str, bytes]]:
    methods = itertools.cycle((*KNOWN, *ODD))
    for number in range(count):
        method = next(methods)
        asked = path.format(id=uuid.uuid4()) if number // TURN % 2 else f"/{uuid.uuid4().hex}/{number}?n={number}"
        head = f"{method} {asked} HTTP/1.1\r\nHost: a\r\nX-Request-ID: {uuid.uuid4()}\r\n{next(headers)}"
        yield method, f"{head}Content-Length: 0\r\n\r\n".encode()


async def _ask(port: int, rest: Iterator[tuple[str, bytes]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for method, request in rest:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if method != "HEAD" and b"content-length: " in head:
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        if b"connection: close" in head:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()

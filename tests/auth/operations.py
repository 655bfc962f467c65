"""What an application can be asked for, and what each of it needs: read from its routes."""

import asyncio
import re
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from services.common.security import GuardedRoute, RequiredScopes

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SECONDS = 20


@dataclass(frozen=True, order=True)
class Operation:
    """One method of one path. `scopes` are None where no token is asked for, or no scope."""

    method: str
    path: str
    scopes: frozenset[str] | None

    @property
    def url(self) -> str:
        """The path with something in it that is not there: whoever may ask it changes nothing."""
        return re.sub(r"\{\w+\}", lambda name: "nobody" if name[0] == "{name}" else str(uuid.uuid4()), self.path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations(app: FastAPI) -> list[Operation]:
    """All of them, those of routes that are no FastAPI's own as well."""
    found = []
    for context in iter_route_contexts(app.router.routes):
        route = context.original_route
        rules = (
            [one.dependency for one in getattr(route, "dependencies", [])] if isinstance(route, GuardedRoute) else []
        )
        needed = [rule.scopes for rule in rules if isinstance(rule, RequiredScopes)]
        scopes = frozenset().union(*needed) if needed else None
        methods = (context.methods or {"ANY"}) - ({"HEAD"} if not isinstance(route, APIRoute) else set())
        found += [Operation(method, context.path or "?", scopes) for method in methods]
    return sorted(found, key=str)


def was_refused(answer: httpx2.Response) -> str:
    """What a guard said: `401`, `403` for a scope that lacks, or else `passed`."""
    if answer.status_code == httpx2.codes.UNAUTHORIZED:
        return "401"
    return "403" if "insufficient_scope" in answer.headers.get("www-authenticate", "") else "passed"


async def ask_raw(base_url: object, method: str, target: str, authorization: str | None) -> int:
    """The status for a target that no client would send as it is."""
    parts = urlsplit(str(base_url))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    header = "" if authorization is None else f"Authorization: {authorization}\r\n"
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n".encode())
            await writer.drain()
            line = await reader.readline()
    finally:
        writer.close()
    return int(line.split()[1])

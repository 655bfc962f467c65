"""Which addresses stand behind a name: one for a plain service, one a ready pod for a headless one."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

RESOLVE_TIMEOUT_SECONDS = 5.0

Resolve = Callable[[str, int], Awaitable[list[str]]]


class NobodyError(Exception):
    """The name has no address: no pod is ready, or there is no such service."""


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system, in a thread. Raises NobodyError, or OSError and TimeoutError when there is no answer."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in {socket.EAI_NONAME, socket.EAI_NODATA}:
            raise NobodyError(host) from None
        raise
    return sorted({str(address[0]) for *_, address in found})

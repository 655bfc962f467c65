"""Requests as bytes, to a service at a port, and what comes back until it closes."""

import asyncio

GOOD = b"GET /v1/sample/ping HTTP/1.1\r\nHost: a\r\n"
LAST = GOOD + b"Connection: close\r\n\r\n"
POST = b"POST /v1/sample/raw HTTP/1.1\r\nHost: a\r\n"


async def exchange(port: int, *sent: bytes, pause: float = 0.0) -> bytes:
    """Send, then read until the server closes, which it must do within a bound."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        for part in sent:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(10):
            while part := await reader.read(65_536):
                received += part
    except ConnectionError:
        return received  # closed while we still wrote
    finally:
        writer.close()
    return received


async def status(port: int, *sent: bytes) -> int:
    answer = await exchange(port, *sent)
    return int(answer.split()[1]) if answer else 0

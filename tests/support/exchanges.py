"""Requests as bytes, to a service at a port, and what comes back until it closes."""

import asyncio


async def exchange(port: int, *sent: bytes, pause: float = 0.0) -> bytes:
    """Send, then read until the server closes, which it must do within a bound."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(everything(reader))  # at once: what has come is lost with a connection that is reset
    try:
        for part in sent:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
    except ConnectionError:
        pass  # closed while we still wrote
    try:
        async with asyncio.timeout(30):
            return await reading
    finally:
        writer.close()


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other side closes or resets the connection."""
    received = b""
    try:
        while part := await reader.read(65_536):
            received += part
    except ConnectionError:
        pass
    return received


async def status(port: int, *sent: bytes) -> int:
    """The status of the first answer; 0 for none."""
    answer = await exchange(port, *sent)
    return int(answer.split()[1]) if answer else 0

"""What answered requests leave to the garbage collector: objects in rings, which no last reference ends."""

import asyncio
import gc

REQUESTS = 50
ROUNDS = 5


async def left_by_requests(port: int, request: bytes, end: bytes) -> int:
    """How many objects 50 of these requests on one connection leave; `end` is the last of each answer.

    The least of five rounds: what earlier tests had under way may end meanwhile and leave something too, but once.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(times: int) -> None:
        for _ in range(times):
            writer.write(request)
            async with asyncio.timeout(30):
                await reader.readuntil(end)

    async def left() -> int:
        gc.collect()
        gc.disable()
        try:
            await ask(REQUESTS)
            return gc.collect()
        finally:
            gc.enable()

    try:
        await ask(5)  # what the first ones leave stays for good
        return min([await left() for _ in range(ROUNDS)])
    finally:
        writer.close()

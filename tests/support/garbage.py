"""What answered requests leave to the garbage collector: objects in rings, which no last reference ends."""

import asyncio
import gc

REQUESTS = 50


async def left_by_requests(port: int, request: bytes, end: bytes) -> int:
    """How many objects are left by 50 of these requests on one connection; `end` is the last of each answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(times: int) -> None:
        for _ in range(times):
            writer.write(request)
            async with asyncio.timeout(30):
                await reader.readuntil(end)

    await ask(5)  # what the first ones leave stays for good
    gc.collect()
    gc.disable()
    try:
        await ask(REQUESTS)
        return gc.collect()
    finally:
        gc.enable()
        writer.close()

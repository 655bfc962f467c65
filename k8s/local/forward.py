"""Carry TCP connections from loopback ports of this machine to the cluster's edge."""

import asyncio
import signal
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

CHUNK_BYTES = 65536
CONNECT_SECONDS = 5


async def serve(routes: Sequence[tuple[int, str, int]]) -> None:
    """Forward each (local port, host, port) until SIGTERM or SIGINT; raises OSError when a port is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    servers = [await listen(*route) for route in routes]
    await stop.wait()
    for server in servers:
        server.close()


async def listen(local_port: int, host: str, port: int) -> asyncio.Server:
    """Listen on loopback and connect each client to `host:port`."""
    # the loop holds tasks and readers weakly: of a connection that waits for the far side alone nobody else has them,
    # and the garbage collector would end its copying and leave it open
    at_work: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        at_work.add(task)
        try:
            await carry(reader, writer)
        finally:
            at_work.discard(task)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            print(f"{host}:{port} cannot be reached: {error}", flush=True)
            _reset(writer)
            return
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                end.close()

    return await asyncio.start_server(handle, "127.0.0.1", local_port)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, and pass the end on: the other direction may still have something to say."""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        _reset(writer)  # one side was reset: so is the other, and its copy ends as well


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the client sees an error and not an empty answer (a lingering time of 0 sends RST)."""
    connection: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):  # it may have been closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

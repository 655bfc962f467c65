"""Bodies of any length pass in bounded memory, no faster than the slower side."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.gateway import connection
from tests.gateway.cluster import Cluster, cluster, read_answer
from tests.gateway.conftest import MakeGateway, pod
from tests.support import waits
from tests.support.tokens import KeyServer

GIGABYTE = 16_384 * 65_536
MOST_GROWTH_KB = 8 * 1024
SOCKETS_BYTES = 100_000_000  # more than the system holds for two connections whose readers wait: 36 MiB each by default


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, jwks: KeyServer) -> Iterator[Cluster]:
    dns = tmp_path_factory.mktemp("dns") / "dns"
    with cluster(dns, jwks.url, ("127.0.0.2",), MAX_BODY_BYTES=str(2 * GIGABYTE)) as made:
        yield made


def memory_kb(made: Cluster, field: str) -> int:
    status = Path(f"/proc/{made.gateway.popen.pid}/status").read_text(encoding="ascii")
    return int(status.partition(f"{field}:")[2].split()[0])


def forget_peak(made: Cluster) -> int:
    """Have the peak counted from now on; what is used now."""
    Path(f"/proc/{made.gateway.popen.pid}/clear_refs").write_text("5", encoding="ascii")
    return memory_kb(made, "VmRSS")


async def download(made: Cluster, parts: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", made.gateway.port, limit=1 << 20)
    writer.write(f"GET /v1/pod/download?parts={parts} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    received = 0
    while part := await reader.read(1 << 20):
        received += len(part)
    writer.close()
    return received


async def upload(port: int, parts: int, part: bytes = bytes(65_536)) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST /v1/pod HTTP/1.1\r\nHost: a\r\nContent-Length: {parts * len(part)}\r\n\r\n".encode())
    for _ in range(parts):
        writer.write(part)
        await writer.drain()
    answer = await read_answer(reader)
    writer.close()
    return answer


async def test_a_gigabyte_to_the_client_costs_no_memory(one: Cluster) -> None:
    await download(one, 100)
    before = await asyncio.to_thread(forget_peak, one)

    assert await download(one, GIGABYTE // 65_536) == GIGABYTE

    grown = await asyncio.to_thread(memory_kb, one, "VmHWM") - before
    print(f"1 GB down: {grown} KB")
    assert grown <= MOST_GROWTH_KB


async def test_a_gigabyte_from_the_client_costs_no_memory(tmp_path: Path, jwks: KeyServer) -> None:
    async def slurping(reader: Any, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.head()
            left = GIGABYTE
            while left:
                left -= len(await reader.read(1 << 20))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nread")

    async with pod(slurping, "127.0.0.2") as standing:
        route = {"upstream": f"http://pods.test:{standing.port}"}
        with cluster(tmp_path / "dns", jwks.url, route=route, MAX_BODY_BYTES=str(2 * GIGABYTE)) as made:
            made.know("127.0.0.2")
            await waits.until(lambda: made.sample("gateway_upstream_pods"), "the pod")
            before = await asyncio.to_thread(forget_peak, made)

            assert await upload(made.gateway.port, GIGABYTE // 65_536) == (200, b"read")

            grown = await asyncio.to_thread(memory_kb, made, "VmHWM") - before
    print(f"1 GB up: {grown} KB")
    assert grown <= MOST_GROWTH_KB


async def standstill(count: Any) -> int:
    """The count when it has not changed for a while."""
    before = -1
    async with asyncio.timeout(60):
        while before != count():
            before = count()
            await asyncio.sleep(0.5)
    return before


async def test_a_client_that_does_not_read_stops_the_pod(make_gateway: MakeGateway) -> None:
    sent = 0

    async def pouring(reader: Any, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.head()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(10_000):
            writer.write(bytes(100_000))
            await writer.drain()
            sent += 100_000

    async with pod(pouring) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1000)
        writer.write(b"GET /v1/a HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readexactly(1000)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert await standstill(lambda: sent) < SOCKETS_BYTES
        writer.transport.abort()


async def test_a_pod_that_does_not_read_stops_the_client(
    make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WRITE_SECONDS", 3)  # the end of the client's connection is not heard before
    sent = 0

    async def deaf(reader: Any, _: asyncio.StreamWriter) -> None:
        await reader.head()
        await asyncio.sleep(60)

    async with (
        pod(deaf) as standing,
        make_gateway({"/v1/a": standing.url}, max_body_bytes=1_000_000_000) as gateway,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")

        async def pour() -> None:
            nonlocal sent
            for _ in range(10_000):
                writer.write(bytes(100_000))
                await writer.drain()
                sent += 100_000

        pouring = asyncio.create_task(pour())
        assert await standstill(lambda: sent) < SOCKETS_BYTES
        pouring.cancel()
        writer.transport.abort()

"""A gateway that is told to stop loses nothing, and tells its streams to come back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.gateway.cluster import Cluster, cluster, read_answer
from tests.support import waits
from tests.support.tokens import KeyServer

POD = "127.0.0.2"


@pytest.fixture
def draining(tmp_path: Path, jwks: KeyServer) -> Iterator[Cluster]:
    with cluster(tmp_path / "dns", jwks.url, (POD,), DRAIN_SECONDS="2") as made:
        yield made


@pytest.fixture
def abrupt(tmp_path: Path, jwks: KeyServer) -> Iterator[Cluster]:
    with cluster(tmp_path / "dns", jwks.url, (POD,)) as made:
        yield made


async def events_until_the_end(made: Cluster) -> bytes:
    """Terminate the gateway when events flow, and read what comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", made.gateway.port)
    writer.write(b"GET /v1/pod/events HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(60):
        received = await reader.readuntil(f"data: {POD}".encode())
        made.gateway.terminate()
        while part := await reader.read(65_536):
            received += part
    writer.close()
    return received


async def test_a_stream_ends_whole_so_that_its_client_comes_back(draining: Cluster) -> None:
    received = await events_until_the_end(draining)

    assert received.endswith(b"\r\n0\r\n\r\n")
    assert await asyncio.to_thread(draining.gateway.wait) == 0


async def test_without_a_drain_it_does_too(abrupt: Cluster) -> None:
    received = await events_until_the_end(abrupt)

    assert received.endswith(b"\r\n0\r\n\r\n")
    assert await asyncio.to_thread(abrupt.gateway.wait) == 0
    assert "requests_cancelled" not in abrupt.gateway.log


async def test_a_websocket_is_told_that_the_service_restarts(tmp_path: Path, jwks: KeyServer) -> None:
    with cluster(tmp_path / "dns", jwks.url, (POD,), DRAIN_SECONDS="5") as made:  # in which it is still answered
        await talked_to_until_the_end(made)


async def talked_to_until_the_end(draining: Cluster) -> None:
    async with connect(f"ws://127.0.0.1:{draining.gateway.port}/v1/pod/ws") as socket:
        await socket.send("a")
        assert await socket.recv() == f"{POD} a"
        draining.gateway.terminate()
        await socket.send("b")
        assert await socket.recv() == f"{POD} b"
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert await asyncio.to_thread(draining.gateway.wait) == 0


async def test_a_request_that_runs_is_answered_and_told_to_leave(draining: Cluster) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", draining.gateway.port)
    writer.write(b"GET /v1/pod?seconds=3 HTTP/1.1\r\nHost: a\r\n\r\n")
    await waits.until(lambda: draining.sample("http_requests_in_flight", kind="request"), "the request")
    draining.gateway.terminate()

    assert await read_answer(reader) == (200, POD.encode())
    assert await reader.read() == b""
    writer.close()
    assert await asyncio.to_thread(draining.gateway.wait) == 0


async def test_busy_clients_lose_nothing_when_a_pod_is_told_to_stop(draining: Cluster) -> None:
    """It drains, keeps its connections for a while with `Connection: close`, and leaves DNS."""
    draining.start("127.0.0.3", known=True)
    asked = asyncio.create_task(draining.ask(1500, method="POST"))
    await asyncio.sleep(0.3)
    draining.know("127.0.0.3")
    draining.pods[POD].terminate()

    answers = await asked
    assert answers.total() == 1500
    assert answers.keys() <= {POD, "127.0.0.3"}, answers

"""The forwarder carries bytes both ways, passes on each side's end, and ends when it is told to."""

import asyncio
import gc
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from k8s.local import edge, forward, paths, preflight, processes
from k8s.local.cluster import Cluster
from tests.support.servers import free_port


@asynccontextmanager
async def far_end(handle: object) -> AsyncIterator[int]:
    """A server behind a forwarder; yields the forwarder's port."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)  # type: ignore[arg-type]
    port = free_port()
    forwarder = await forward.listen(port, "127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield port
    finally:
        forwarder.close()
        server.close()


async def test_many_bytes_come_back_unchanged() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1000):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    sent = bytes(range(256)) * 8000
    async with far_end(echo) as port, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def send() -> None:
            writer.write(sent)
            writer.write_eof()
            await writer.drain()

        _, received = await asyncio.gather(send(), reader.read(-1))
        writer.close()

    assert received == sent


async def test_the_answer_comes_after_the_question_ended() -> None:
    """A half-closed connection stays open the other way, as `printf ... | nc` needs it."""

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read(-1)
        await asyncio.sleep(0.1)
        writer.write(f"{len(question)} bytes".encode())
        writer.close()

    async with far_end(count) as port, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"question")
        writer.write_eof()

        answer = await reader.read(-1)
        writer.close()

    assert answer == b"8 bytes"


async def test_the_garbage_collector_ends_no_connection_that_waits_for_the_far_end() -> None:
    go_on = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        await go_on.wait()
        writer.write(b"answer")
        writer.close()

    async with far_end(answer) as port, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write_eof()
        for _ in range(5):  # at whatever step it is
            await asyncio.sleep(0.05)
            gc.collect()
        go_on.set()

        assert await reader.read(-1) == b"answer"
        writer.close()


async def test_a_side_that_is_reset_while_it_is_written_to_is_no_fault_of_the_forwarder() -> None:
    faults: list[str] = []

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(error := context.get("exception"), Exception):
            faults.append("".join(traceback.format_exception(error)))

    async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    asyncio.get_running_loop().set_exception_handler(note)
    try:
        async with far_end(leave) as port, asyncio.timeout(60):
            for _ in range(50):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(bytes(1_000_000))
                with suppress(ConnectionError):
                    await reader.read(-1)
                writer.transport.abort()
    finally:
        asyncio.get_running_loop().set_exception_handler(None)

    assert [fault for fault in faults if forward.__file__ in fault] == []  # the loop is not this test's alone


async def test_a_far_end_that_closes_first_is_seen_as_closed() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()

    async with far_end(hang_up) as port, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        assert await reader.read(-1) == b"bye"
        writer.close()


async def test_an_edge_that_is_away_is_a_reset_and_not_an_empty_answer() -> None:
    port = free_port()
    forwarder = await forward.listen(port, "127.0.0.1", free_port())
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        writer.close()
        forwarder.close()


def test_the_process_is_known_by_its_file_and_ends_when_stopped() -> None:
    port, target = free_port(), free_port()
    arguments = ["forward", f"{port}:127.0.0.1:{target}"]

    processes.start("forwarder", arguments, paths.logs() / "forwarder.log")
    first = processes.running("forwarder")
    processes.start("forwarder", arguments, paths.logs() / "forwarder.log")
    second = processes.running("forwarder")
    processes.stop("forwarder")

    assert first is not None
    assert first == second, "started again although it ran"
    assert processes.running("forwarder") is None
    preflight.check_port(port)


def test_other_arguments_replace_the_process() -> None:
    log = paths.logs() / "forwarder.log"
    processes.start("forwarder", ["forward", f"{free_port()}:127.0.0.1:1"], log)
    first = processes.running("forwarder")
    processes.start("forwarder", ["forward", f"{free_port()}:127.0.0.1:1"], log)
    second = processes.running("forwarder")
    processes.stop("forwarder")

    assert first is not None
    assert second is not None
    assert first.pid != second.pid


def test_one_that_runs_the_sources_of_yesterday_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    log, arguments = paths.logs() / "forwarder.log", ["forward", f"{free_port()}:127.0.0.1:1"]
    with monkeypatch.context() as yesterday:
        yesterday.setattr(processes, "code", lambda: "")
        processes.start("forwarder", arguments, log)
    first = processes.running("forwarder")
    processes.start("forwarder", arguments, log)
    second = processes.running("forwarder")
    processes.stop("forwarder")

    assert first is not None
    assert second is not None
    assert first.pid != second.pid


def test_a_number_that_another_process_has_now_is_not_ours() -> None:
    """After a reboot the file is still there and its pid may be anybody's."""
    file = paths.state() / "forwarder.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"pid": 1, "born": "another-boot/1", "arguments": []}')

    assert processes.running("forwarder") is None
    processes.stop("forwarder")
    assert not file.exists()


def test_a_forwarder_to_another_cluster_or_of_other_sources_is_replaced_and_this_one_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paths, "HTTPS_PORT", free_port())
    monkeypatch.setattr(paths, "HTTP_PORT", free_port())
    pids: list[int] = []
    for address in ("127.0.0.2", "127.0.0.2", "127.0.0.3"):
        edge.open_way(Cluster("node", "", edge=address), print)
        now = processes.running(edge.FORWARDER)
        assert now is not None
        assert now.arguments[1] == f"{paths.HTTPS_PORT}:{address}:443"
        pids.append(now.pid)
    monkeypatch.setattr(processes, "code", lambda: "of other sources")
    edge.open_way(Cluster("node", "", edge="127.0.0.3"), print)
    now = processes.running(edge.FORWARDER)
    assert now is not None
    edge.close_way()

    assert pids[0] == pids[1] != pids[2] != now.pid

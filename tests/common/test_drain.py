"""A process that is told to stop loses nothing: seen from outside, on a process of its own."""

import asyncio
import json
import signal
from collections.abc import Callable

import httpx2
import pytest

from tests.support import waits
from tests.support.processes import Process, service_process

SAMPLE = "tests.common.sample"
STEPS = {"resource_opened", "request_finished", "resource_closed", "service_stopped"}


def events(process: Process) -> list[str]:
    return [json.loads(line)["event"] for line in process.log.splitlines()]


async def ask_until(stop: asyncio.Event, process: Process, outcomes: list[object]) -> None:
    """One client with a keep-alive connection that asks again and again."""
    async with httpx2.AsyncClient(base_url=process.url, timeout=30) as client:
        while not stop.is_set():
            try:
                outcomes.append((await client.get("/v1/sample/slow/0.005")).status_code)
            except httpx2.HTTPError as error:
                outcomes.append(error)
                await asyncio.sleep(0.01)


async def outcomes_around_sigterm(drain_seconds: int) -> set[object]:
    """What 8 busy clients see that hear of the end some time after SIGTERM, as a load balancer does."""
    outcomes: list[object] = []
    stop = asyncio.Event()
    with service_process(SAMPLE, {"DRAIN_SECONDS": str(drain_seconds)}) as process:
        clients = [asyncio.create_task(ask_until(stop, process, outcomes)) for _ in range(8)]
        await until(lambda: len(outcomes) > 40, "40 requests", process)
        process.terminate()
        sent = len(outcomes)
        await until(lambda: len(outcomes) > sent + 100, "100 requests more", process)
        stop.set()
        await asyncio.gather(*clients)
        if drain_seconds:
            process.popen.send_signal(signal.SIGINT)  # cuts the rest of the drain short
        assert await asyncio.to_thread(process.wait) == 0
    return {outcome if isinstance(outcome, int) else type(outcome).__name__ for outcome in outcomes}


async def test_busy_clients_lose_nothing_to_a_sigterm() -> None:
    assert await outcomes_around_sigterm(drain_seconds=60) == {200}


async def test_without_the_drain_they_would() -> None:
    assert await outcomes_around_sigterm(drain_seconds=0) > {200}


async def begun(process: Process) -> None:
    await until(lambda: "request_begun" in events(process), "a request", process)


async def until(condition: Callable[[], object], what: str, process: Process) -> None:
    await waits.until(condition, what, lambda: process.log)


def ready_status(process: Process) -> int:
    return httpx2.get(f"{process.management_url}/readyz", timeout=30).status_code


async def test_a_draining_process_is_not_ready_but_answers_and_asks_clients_to_leave() -> None:
    with service_process(SAMPLE, {"DRAIN_SECONDS": "30"}) as process:
        async with httpx2.AsyncClient(base_url=process.url, timeout=30) as client:
            before = await client.get("/v1/sample/ping")
            process.terminate()
            await until(lambda: ready_status(process) == 503, "unready", process)

            during = await client.get("/v1/sample/ping")
            again = await client.get("/v1/sample/ping")  # over a new connection

            assert "connection" not in before.headers
            assert (during.status_code, during.headers["connection"]) == (200, "close")
            assert again.status_code == 200
            assert httpx2.get(f"{process.management_url}/livez", timeout=30).status_code == 200
            assert "draining" in httpx2.get(f"{process.management_url}/readyz", timeout=30).json()["checks"]


async def test_a_running_request_is_finished_before_resources_are_closed_in_reverse_order() -> None:
    with service_process(SAMPLE, {}) as process:
        async with httpx2.AsyncClient(base_url=process.url, timeout=30) as client:
            request = asyncio.create_task(client.get("/v1/sample/slow/3"))
            await begun(process)
            process.terminate()

            answer = await request

            assert answer.status_code == 200
            assert answer.headers["connection"] == "close"
        assert await asyncio.to_thread(process.wait) == 0
        lines = [json.loads(line) for line in process.log.splitlines()]
        assert [line.get("resource", line["event"]) for line in lines if line["event"] in STEPS] == [
            "store",
            "cache",
            "request_finished",
            "cache",
            "store",
            "service_stopped",
        ]


async def test_a_request_that_takes_too_long_is_told_so_and_holds_nobody_up() -> None:
    with service_process(SAMPLE, {"SHUTDOWN_SECONDS": "1"}) as process:
        async with httpx2.AsyncClient(base_url=process.url, timeout=30) as client:
            request = asyncio.create_task(client.get("/v1/sample/slow/60"))
            await begun(process)
            process.terminate()

            answer = await request

            assert answer.status_code == 503
            assert 1 <= int(answer.headers["retry-after"]) <= 3
            assert answer.headers["content-type"] == "application/problem+json"
        assert await asyncio.to_thread(process.wait) == 0
        assert "request_cut_off" in events(process)


async def test_idle_connections_do_not_hold_up_the_end() -> None:
    with service_process(SAMPLE, {"SHUTDOWN_SECONDS": "60"}) as process:
        async with httpx2.AsyncClient(base_url=process.url, timeout=30) as client:
            await client.get("/v1/sample/ping")
            _, silent = await asyncio.open_connection("127.0.0.1", process.port)
            _, half = await asyncio.open_connection("127.0.0.1", process.port)
            half.write(b"GET /v1/sample/ping HTTP/1.1\r\nHo")
            await half.drain()
            process.terminate()

            assert await asyncio.to_thread(process.wait) == 0
            silent.close()
            half.close()


async def test_resources_are_closed_after_the_requests_that_were_cut_off_have_left() -> None:
    with service_process(SAMPLE, {"SHUTDOWN_SECONDS": "1"}) as process:
        async with httpx2.AsyncClient(base_url=process.url, timeout=30) as client:
            request = asyncio.create_task(client.get("/v1/sample/stubborn/0.5"))
            await begun(process)
            process.terminate()

            assert (await request).status_code == 503
        assert await asyncio.to_thread(process.wait) == 0
        seen = events(process)
        assert seen.index("request_left") < seen.index("resource_closed")


@pytest.mark.parametrize("drain_seconds", ["0", "60"])
async def test_two_interrupts_of_a_developer_end_it_at_once(drain_seconds: str) -> None:
    with service_process(SAMPLE, {"DRAIN_SECONDS": drain_seconds, "SHUTDOWN_SECONDS": "60"}) as process:
        async with httpx2.AsyncClient(base_url=process.url, timeout=30) as client:
            request = asyncio.create_task(client.get("/v1/sample/slow/60"))
            await begun(process)
            process.popen.send_signal(signal.SIGINT)
            await until(lambda: ready_status(process) == 503, "unready", process)
            assert not request.done()
            process.popen.send_signal(signal.SIGINT)

            assert (await request).status_code == 503
        assert await asyncio.to_thread(process.wait) == 0
        assert "resource_closed" in events(process)

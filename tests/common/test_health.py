"""Alive and ready: two questions, answered from threads, that never wait for the loop or a server."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from services.common import health as health_module
from services.common.health import Check, Health
from services.common.management import ManagementServer
from services.common.metrics import process_registry
from services.common.server import Server, listen, server_config
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client
from tests.support.clock import Clock
from tests.support.processes import service_process
from tests.support.waits import until


async def found(**checks: Any) -> dict[str, str]:
    health = Health()
    health._checks = checks
    await health.check_now()
    snapshot = health.readiness()
    assert snapshot.ready == all(outcome == "ok" for outcome in snapshot.checks.values())
    return dict(snapshot.checks)


async def good() -> None:
    pass


async def bad() -> None:
    raise ConnectionRefusedError("port 5432")


async def hanging() -> None:
    await asyncio.sleep(60)


def in_turn(checks: Sequence[Check]) -> Check:
    """One check after the other, a round each."""
    following = iter(checks)

    async def check() -> object:
        return await next(following)()

    return check


async def test_ready_is_when_every_check_passes() -> None:
    assert await found() == {}
    assert await found(postgres=good, cache=good) == {"postgres": "ok", "cache": "ok"}


async def test_a_check_that_fails_says_why() -> None:
    assert await found(postgres=bad, cache=good) == {
        "postgres": "ConnectionRefusedError: port 5432",
        "cache": "ok",
    }


async def test_a_check_that_hangs_is_given_up_on_and_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "CHECK_TIMEOUT_SECONDS", 0.05)

    async with asyncio.timeout(20):
        assert await found(postgres=hanging, cache=hanging, tokens=good) == {
            "postgres": "no answer within 0.05 s",
            "cache": "no answer within 0.05 s",
            "tokens": "ok",
        }


async def test_what_fails_after_the_start_is_told_and_takes_no_pod_away() -> None:
    answers = [bad, good, bad]
    health = Health()
    health._checks = {"postgres": in_turn(answers)}
    registry = process_registry("sample", "1", health)
    seen = []
    for _ in range(3):
        await health.check_now()
        snapshot = health.readiness()
        passing = registry.get_sample_value("readiness_check_passing", {"check": "postgres"})
        seen.append((snapshot.ready, snapshot.checks["postgres"] == "ok", passing))

    assert seen == [(False, False, 0), (True, True, 1), (True, False, 0)]


async def test_all_checks_have_to_pass_in_the_same_round() -> None:
    health = Health()
    health._checks = {"postgres": in_turn([good, bad, good]), "keys": in_turn([bad, good, good])}
    seen = []
    for _ in range(3):
        await health.check_now()
        seen.append(health.readiness().ready)

    assert seen == [False, False, True]


async def test_checks_that_no_longer_run_make_it_unready() -> None:
    clock = Clock()
    health = Health(clock=clock)
    health._checks = {"postgres": good}
    await health.check_now()
    assert health.readiness().ready

    clock.now += 11
    health._beat_at = clock.now  # the loop turns

    assert health.readiness().checks == {"checks": "have not run for 11 s"}
    assert not health.readiness().ready


async def test_a_drain_and_the_end_make_it_unready_whatever_has_passed() -> None:
    health = Health()
    async with health.checking({"postgres": good}):
        await health.check_now()
        assert health.readiness().ready
        health.draining = True
        assert not health.readiness().ready
        health.draining = False
    assert health.readiness().checks == {"shutdown": "resources are closed"}


async def test_failures_and_recoveries_are_logged_once_each(capsys: pytest.CaptureFixture[str]) -> None:
    health = Health()
    health._checks = {"postgres": in_turn([good, bad, bad, good, good])}
    for _ in range(5):
        await health.check_now()

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["readiness_changed", "check_failed", "check_recovered"]
    assert lines[1]["reason"] == "ConnectionRefusedError: port 5432"


def test_nothing_is_ready_before_the_start_is_finished() -> None:
    assert not Health().readiness().ready


def test_a_loop_that_does_not_turn_is_not_ready() -> None:
    clock = Clock()
    health = Health(clock=clock)
    health._snapshot = health_module.Snapshot(ready=True)
    assert health.readiness().ready

    clock.now += 11

    assert not health.readiness().ready


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_alive_is_until_the_loop_is_silent_for_too_long(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(SampleSettings())
    health = Health(clock=clock)
    server = ManagementServer(("127.0.0.1", 0), health=health, registry=app.state.registry, liveness_seconds=30)
    with server:
        clock.now += 29
        assert server.alive()
        clock.now += 1
        assert [server.alive() for _ in range(3)] == [False] * 3
        health._beat_at = clock.now
        assert server.alive()
        clock.now += 31
        assert not server.alive()

    dumps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in dumps] == ["loop_blocked"] * 2, "one dump a silence"
    assert "test_alive_is_until" in dumps[0]["stacks"]


def get(url: str) -> httpx2.Response:
    return httpx2.get(url, timeout=30)


@asynccontextmanager
async def managed(app: FastAPI) -> AsyncGenerator[str]:
    address = ("127.0.0.1", 0)
    server = ManagementServer(address, health=app.state.health, registry=app.state.registry, liveness_seconds=30)
    with server.running():
        yield f"http://127.0.0.1:{server.server_address[1]}"


async def test_the_management_port_tells_of_life_readiness_and_metrics() -> None:
    app = create_app(SampleSettings())
    async with managed(app) as url:
        assert (await asyncio.to_thread(get, f"{url}/readyz")).status_code == 503
        assert (await asyncio.to_thread(get, f"{url}/livez")).status_code == 200
        async with app_client(app) as client:
            await client.get("/v1/sample/ping")
            await app.state.health.check_now()

            ready = await asyncio.to_thread(get, f"{url}/readyz")
            metrics = await asyncio.to_thread(get, f"{url}/metrics?x=1")

            assert (ready.status_code, ready.json()) == (200, {"ready": True, "checks": {}})
            assert 'http_requests_total{handler="/v1/sample/ping",method="GET",status="200"} 1.0' in metrics.text
            assert (await asyncio.to_thread(get, f"{url}/other")).status_code == 404
        assert (await asyncio.to_thread(get, f"{url}/readyz")).status_code == 503


async def test_nothing_is_checked_that_is_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "INTERVAL_SECONDS", 0.01)
    is_open, seen = False, []

    async def check() -> None:
        seen.append(is_open)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        nonlocal is_open
        is_open = True
        yield {"readiness_checks": {"store": check}}
        is_open = False
        await asyncio.sleep(0.1)  # ten rounds, if they went on

    async with app_client(create_app(SampleSettings(), lifespan)):
        await until(lambda: len(seen) > 1, "two rounds of checks")

    assert all(seen)


async def test_a_client_that_says_nothing_holds_up_no_probe() -> None:
    app = create_app(SampleSettings())
    async with managed(app) as url:
        silent = [await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2])) for _ in range(20)]

        assert (await asyncio.to_thread(get, f"{url}/livez")).status_code == 200
        for _, writer in silent:
            writer.close()


def wait_for(url: str, status: int) -> None:
    deadline = time.monotonic() + 20
    while (answer := get(url)).status_code != status:
        assert time.monotonic() < deadline, f"{url} still says {answer.status_code} {answer.text}"
        time.sleep(0.02)


def test_a_blocked_loop_is_found_dead_with_its_stacks_and_lives_again() -> None:
    with service_process("tests.common.sample", {"LIVENESS_SECONDS": "2"}) as process:
        livez = f"{process.management_url}/livez"
        blocker = threading.Thread(
            target=httpx2.get, args=(f"{process.url}/v1/sample/block/8",), kwargs={"timeout": 20}
        )
        blocker.start()

        wait_for(livez, 503)
        assert get(f"{process.management_url}/metrics").status_code == 200
        wait_for(livez, 200)
        blocker.join()

        dumps = [line for line in map(json.loads, process.log.splitlines()) if line["event"] == "loop_blocked"]
        # and more where the machine itself held the process up
        (stacks,) = [dump["stacks"] for dump in dumps if "in block" in dump["stacks"]]
        assert "sample/main.py" in stacks


async def test_nobody_is_ready_before_the_server_listens() -> None:
    app = create_app(SampleSettings())
    health: Health = app.state.health
    opened, seen = app.router.lifespan_context, []

    @asynccontextmanager
    async def checked(app: FastAPI) -> AsyncGenerator[Any]:
        async with opened(app) as state:
            await health.check_now()
            seen.append(health.readiness())
            yield state

    app.router.lifespan_context = checked
    config = server_config(app, registry=app.state.registry)
    server = Server(config, health=health, drain_seconds=0)
    config.load()
    server.lifespan = config.lifespan_class(config)

    with listen("127.0.0.1", 0) as bound:
        await server.startup([bound])
        try:
            (await asyncio.open_connection(*bound.getsockname()))[1].close()
            seen.append(health.readiness())
        finally:
            await server.shutdown()

    assert [(each.ready, dict(each.checks)) for each in seen] == [
        (False, {"server": "does not listen yet"}),
        (True, {}),
    ]

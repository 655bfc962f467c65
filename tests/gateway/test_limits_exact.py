"""A limit is exact over four gateways, each in a process of its own with a clock of its own.

Time is that of Redis. What a limit lets through in a time is its burst and its rate times that time, and not one more.
It lets through all of that, too, as long as more is offered and its bucket is never full in between.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from services.common.redis import open_redis
from tests.gateway.cluster import read_answer
from tests.gateway.conftest import Pod
from tests.support.processes import Process, service_process, wait_until_ready
from tests.support.tokens import ISSUER

SECONDS = 3  # 30 for the long one
RATE, BURST, OFFERED = 100, 100, 3
CONNECTIONS = 4  # to each gateway
CLOCKS = (0, 5, -5, 86_400)  # seconds by which they are ahead


@contextmanager
def gateways(pod: Pod, redis_url: str, jwks_url: str, folder: Path) -> Generator[list[Process]]:
    """Four of them with one route and one limit."""
    limit = {"per": "route", "count": RATE, "seconds": 1, "burst": BURST}
    route = {"upstream": f"http://pods.test:{pod.port}", "public": True, "limits": [limit], "without_state": "closed"}
    dns = folder / "dns"
    dns.write_text("127.0.0.1")
    env = {
        "ROUTES": json.dumps({"/v1/exact": route}),
        "DNS_FILE": str(dns),
        "ISSUER": ISSUER,
        "AUDIENCE": "slipway",
        "JWKS_URL": jwks_url,
        "STATE_URL": redis_url,
        "DOCUMENTS_SECONDS": "0",
        "LOG_LEVEL": "WARNING",
    }
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                service_process("tests.gateway.standing", {**env, "CLOCK_AHEAD": str(ahead)}, wait_ready=False)
            )
            for ahead in CLOCKS
        ]
        for process in started:
            wait_until_ready(process.management_url, process.popen, lambda process=process: process.log)  # type: ignore[misc]
        yield started


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with open_redis(SecretStr(redis_url), timeout_seconds=20) as client:
        yield client


async def now(redis: Redis) -> float:
    seconds, microseconds = await redis.time()
    return seconds + microseconds / 1e6


class Client:
    """One kept connection to one gateway."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.process.port)

    async def ask(self) -> int:
        self.writer.write(b"GET /v1/exact HTTP/1.1\r\nHost: a\r\n\r\n")
        status, _ = await read_answer(self.reader)
        return status

    async def keep_asking(self, statuses: list[int], end: asyncio.Event) -> None:
        """At its share of what is offered, or as fast as it is answered."""
        pause = CONNECTIONS * len(CLOCKS) / (RATE * OFFERED)
        while not end.is_set():
            started = asyncio.get_running_loop().time()
            statuses.append(await self.ask())
            await asyncio.sleep(max(0, started + pause - asyncio.get_running_loop().time()))


async def test_four_gateways_together_let_through_exactly_what_the_limit_says(
    recorder: Pod, redis_url: str, redis: Redis, jwks: object, tmp_path: Path
) -> None:
    with gateways(recorder, redis_url, jwks.url, tmp_path) as started:  # type: ignore[attr-defined]
        clients = [Client(process) for process in started for _ in range(CONNECTIONS)]
        await asyncio.gather(*(client.open() for client in clients))
        statuses: list[int] = []
        end = asyncio.Event()

        before_first = await now(redis)
        statuses.append(await clients[0].ask())
        after_first = await now(redis)
        asking = asyncio.gather(*(client.keep_asking(statuses, end) for client in clients))
        while await now(redis) < after_first + SECONDS:  # noqa: ASYNC110 - it is Redis' time
            await asyncio.sleep(0.05)
        # whoever is refused after this moment finds the bucket empty: all until then has been let through
        until = await now(redis)
        seen = len(statuses)
        async with asyncio.timeout(20):
            while statuses[seen + len(clients) :].count(429) < len(clients):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        end.set()
        await asking
        after_last = await now(redis)
        for client in clients:
            client.writer.close()

    assert set(statuses) == {200, 429}
    let_through = statuses.count(200)
    assert let_through == len(recorder.heads)
    assert let_through <= BURST + RATE * (after_last - before_first)
    assert let_through >= 0.995 * (BURST + RATE * (until - after_first)) - 1

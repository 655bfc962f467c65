"""What metrics, 1 % of traces and the access log cost together: `python -m tests.bench.telemetry`.

The same service twice, with telemetry and without, on the same core; asked in turn for a few seconds each. The ratio of
a pair is what counts, its median and its spread are printed: of requests a second, and of the processor's time that the
service took for one, which others who are busy on the machine blur less. The client, Postgres, Redis and what stands
behind the gateway have the other core.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import sys
import time
import uuid
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2

from services.common.migrations import migrate
from services.common.settings import MigrationSettings
from tests.support.databases import new_database
from tests.support.processes import Process, service_process
from tests.support.servers import postgres_server, redis_server
from tests.support.tokens import Issuer, key_server
from tests.support.traces import serving

SERVER, OTHERS = "0", {1}  # cores
CONNECTIONS = 16
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
LAMP = {"name": "lamp", "price_minor": 1999, "currency": "EUR"}
SIDES = ("on", "off")


async def rate(port: int, request: bytes, seconds: float) -> float:
    """Requests a second that this port answers with 200 over kept connections."""
    until, count = time.perf_counter() + seconds, 0

    async def ask() -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode("latin-1"))
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            count += 1
        writer.close()

    started = time.perf_counter()
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    return count / (time.perf_counter() - started)


def cpu_seconds(process: Process) -> float:
    """What a process has used, in all of its threads."""
    fields = Path(f"/proc/{process.popen.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime (proc(5))


def cost(on: list[float], off: list[float]) -> dict[str, object]:
    """By how much `on` is more than `off`, in percent: the median of the pairs and its quartiles."""
    low, middle, high = statistics.quantiles([100 * (a / b - 1) for a, b in zip(on, off, strict=True)], n=4)
    return {"percent": round(middle, 1), "quartiles": [round(low, 1), round(high, 1)]}


async def compare(
    name: str, sides: dict[str, Process], request: bytes, rounds: int, seconds: float
) -> dict[str, object]:
    """Ask both in turn, each first in every other round; what was found."""
    for process in sides.values():
        await rate(process.port, request, 1)  # warm
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    used: dict[str, list[float]] = {side: [] for side in SIDES}  # microseconds a request
    for number in range(rounds):
        for side in SIDES if number % 2 else SIDES[::-1]:
            before = cpu_seconds(sides[side])
            found[side].append(await rate(sides[side].port, request, seconds))
            used[side].append((cpu_seconds(sides[side]) - before) * 1e6 / (found[side][-1] * seconds))
    result = {
        "path": name,
        "on_per_second": round(statistics.median(found["on"])),
        "off_per_second": round(statistics.median(found["off"])),
        "time_a_request": cost([1 / one for one in found["on"]], [1 / one for one in found["off"]]),
        "on_cpu_us": round(statistics.median(used["on"])),
        "off_cpu_us": round(statistics.median(used["off"])),
        "cpu_a_request": cost(used["on"], used["off"]),
        "rounds": rounds,
    }
    print(json.dumps(result), flush=True)
    return result


async def answering() -> asyncio.Server:
    """What stands behind the gateway: it answers at once, so that the gateway is what is measured."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


@contextmanager
def pair(service: str, env: dict[str, str], collector: str) -> Generator[dict[str, Process]]:
    """The service with telemetry and without."""
    traced = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    with ExitStack() as stack:
        sides = {}
        for side in SIDES:
            arguments = (SERVER, side, f"services.{service}", "serve")
            full = {**env, **(traced if side == "on" else {})}
            sides[side] = stack.enter_context(service_process("tests.bench.pinned", full, arguments=arguments))
        yield sides


def get(path: str, token: str) -> bytes:
    """A request for a path."""
    return f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def measure(rounds: int, seconds: float) -> list[dict[str, object]]:
    """Both paths."""
    issuer = Issuer()
    token = issuer.token()
    with ExitStack() as stack:
        collector = stack.enter_context(serving())
        keys = stack.enter_context(key_server(issuer))
        postgres, redis = stack.enter_context(postgres_server()), stack.enter_context(redis_server())
        tokens = {"ISSUER": issuer.issuer, "AUDIENCE": issuer.audience, "JWKS_URL": keys.url}
        results = []

        behind = await answering()
        upstream = f"http://127.0.0.1:{behind.sockets[0].getsockname()[1]}"
        route = {"upstream": upstream, "limits": []}
        gateway = {**tokens, "ROUTES": json.dumps({"/v1/items": route}), "DOCUMENTS_SECONDS": "0"}
        with pair("gateway", gateway, collector.url) as sides:
            request = get(f"/v1/items/{uuid.uuid4()}", token)
            results.append(await compare("gateway, forwarded", sides, request, rounds, seconds))
        behind.close()

        url = stack.enter_context(new_database(postgres.url, "telemetry"))
        if await migrate(MigrationSettings(database_url=url), "services.items.migrations"):
            raise RuntimeError("the migration of items failed; its log is above")
        items = {**tokens, "DATABASE_URL": url, "CACHE_URL": redis.url, "CURSOR_KEY": secrets.token_hex(32)}
        with pair("items", items, collector.url) as sides:
            made = httpx2.post(
                f"http://127.0.0.1:{sides['off'].port}/v1/items",
                json=LAMP,
                headers={"Authorization": f"Bearer {token}"},
            )
            request = get(f"/v1/items/{made.json()['id']}", token)
            results.append(await compare("items, cached read", sides, request, rounds, seconds))
        return results


def main() -> int:
    """Measure and print, a line of JSON a path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, OTHERS)
    asyncio.run(measure(arguments.rounds, arguments.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the gateway knows of the pods behind a name: which there are, how new and how busy they are."""

import asyncio
import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.gateway import http1
from services.gateway.client import Request, RequestBody
from services.gateway.http1 import Http1Client
from services.gateway.metrics import GatewayMetrics
from services.gateway.resolver import NobodyError, resolve
from services.gateway.upstreams import Upstream
from tests.gateway.conftest import answering, pod
from tests.support import waits

A, B, C = "127.0.0.2", "127.0.0.3", "127.0.0.4"
Said = list[str] | Exception


class Behind:
    """A service whose name gets one given answer after the other."""

    def __init__(self, *said: Said, port: int = 1) -> None:
        self.registry = CollectorRegistry()
        self.client = Http1Client(connect_timeout_seconds=30, idle_timeout_seconds=30)
        self.upstream = Upstream(
            f"http://pods.test:{port}",
            client=self.client,
            resolve=self.resolve,
            metrics=GatewayMetrics(self.registry),
            slow_start_seconds=1000,
            name="pods",
        )
        self._said = list(said)

    async def resolve(self, _host: str, _port: int) -> list[str]:
        answer = self._said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def known(self) -> list[str]:
        """The pods after the next look."""
        await self.upstream.look_up()
        return sorted(self.upstream.pods)

    def looks(self, result: str) -> float:
        labels = {"upstream": "pods", "result": result}
        return self.registry.get_sample_value("gateway_upstream_resolutions_total", labels) or 0


@pytest.mark.parametrize("failure", [OSError("no way"), socket.gaierror(socket.EAI_AGAIN, "later"), TimeoutError()])
async def test_an_answer_counts_and_without_one_the_last_does(failure: Exception) -> None:
    behind = Behind([A, B], failure, [B, C], NobodyError("pods.test"), failure, [A])

    assert [await behind.known() for _ in range(6)] == [[A, B], [A, B], [B, C], [], [], [A]]
    assert (behind.looks("resolved"), behind.looks("failed")) == (4, 2)


async def test_the_first_pods_get_whole_shares_and_one_that_comes_later_a_small_one() -> None:
    behind = Behind([A, B], [A, B, C])
    for _ in range(2):
        await behind.upstream.look_up()

    weights = {address: one.weight(time.monotonic(), 1000) for address, one in behind.upstream.pods.items()}
    assert (weights[A], weights[B]) == (1, 1)
    assert weights[C] < 1


async def receive() -> dict[str, Any]:
    await asyncio.Event().wait()  # the client stays, and says nothing
    raise AssertionError


def request() -> Request:
    return Request("GET", b"/", [(b"host", b"a")], RequestBody(receive, length=None, chunked=False), 30)


async def test_a_pod_is_busy_until_its_answer_is_done_with() -> None:
    async with pod(answering(), A) as standing:
        behind = Behind([A], port=standing.port)
        await behind.upstream.look_up()
        [known] = behind.upstream.pods.values()

        exchange = await behind.upstream.send(request())
        busy = known.in_flight
        for _ in range(2):  # the second does nothing
            exchange.close()

    assert (busy, known.in_flight) == (1, 0)


async def silent(reader: Any, _: object) -> None:
    await reader.head()
    await reader.read()


async def test_a_pod_whose_request_was_given_up_is_free() -> None:
    async with pod(silent, A) as standing:
        behind = Behind([A], port=standing.port)
        await behind.upstream.look_up()
        [known] = behind.upstream.pods.values()

        asking = asyncio.create_task(behind.upstream.send(request()))
        await waits.until(lambda: standing.heads, "the request")
        busy = known.in_flight
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    assert (busy, known.in_flight) == (1, 0)


@pytest.mark.parametrize("end", ["gone", "idle for long"])
async def test_of_a_pod_that_is_gone_and_of_one_that_is_not_asked_no_connection_is_kept(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pod(answering(), A) as standing:
        behind = Behind([A], [B] if end == "gone" else [A], port=standing.port)
        await behind.upstream.look_up()
        exchange = await behind.upstream.send(request())
        while not exchange.response.complete():
            await exchange.response.read()
        exchange.close()
        assert behind.client.open_connections == 1

        if end == "idle for long":
            monkeypatch.setattr(http1, "IDLE_SECONDS", 0)
        await behind.upstream.look_up()

        await waits.until(lambda: behind.client.open_connections == 0, "the end of the connection")


async def test_the_connections_of_many_requests_at_once_serve_the_next() -> None:
    together = 300
    async with pod(answering(), A) as standing:
        behind = Behind([A], port=standing.port)
        await behind.upstream.look_up()
        for _ in range(3):
            exchanges = await asyncio.gather(*(behind.upstream.send(request()) for _ in range(together)))
            for exchange in exchanges:
                while not exchange.response.complete():
                    await exchange.response.read()
            for exchange in exchanges:
                exchange.close()

        assert standing.opened == together
        behind.client.close()


@pytest.mark.parametrize(
    ("number", "expected"), [(socket.EAI_NONAME, NobodyError), (socket.EAI_AGAIN, socket.gaierror)]
)
def test_a_name_server_that_says_nothing_has_not_said_nobody(
    number: int, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(*_: object, **__: object) -> Sequence[object]:
        raise socket.gaierror(number, "as the test says")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    # a loop that asks through this module, as uvloop does not
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner, pytest.raises(expected):
        runner.run(resolve("pods.test", 80))

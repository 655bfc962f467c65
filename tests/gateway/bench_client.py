"""Compare HTTP clients behind the gateway's interface: `python -m tests.gateway.bench_client [rounds]`.

One server process, one client process, all clients in turn within each round; what counts is the ratio and its spread.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import httptools
import uvloop
from yarl import URL

from services.gateway.client import Address, Request, RequestBody, Response, UpstreamClient
from services.gateway.exceptions import BrokenAnswerError, ClientGoneError, ConnectError, SlowAnswerError
from services.gateway.headers import Header
from services.gateway.http1 import Http1Client

BODY = bytes(1024)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
HEADERS: list[Header] = [(b"host", b"a"), (b"accept", b"*/*"), (b"authorization", b"Bearer " + b"x" * 700)]
REQUESTS = 2000
CONCURRENT = (1, 20)


class AiohttpClient:
    """aiohttp as an UpstreamClient."""

    def __init__(self) -> None:
        """Open a session that decodes, follows and remembers nothing."""
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=1, sock_read=60),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
        )
        self.session._retry_connection = False

    async def send(self, address: Address, request: Request) -> Response:
        """Ask one pod."""
        host, port = address
        url = URL(f"http://{host}:{port}{request.target.decode()}", encoded=True)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
        body = request.body
        if body.length is not None:
            headers.append(("content-length", str(body.length)))
        try:
            async with asyncio.timeout(request.timeout_seconds):
                answer = await self.session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=None if body.complete else body.parts(),
                    allow_redirects=False,
                )
        except TimeoutError as error:
            raise SlowAnswerError(str(error)) from None
        except aiohttp.ClientConnectorError as error:
            raise ConnectError(str(error)) from None
        except aiohttp.ClientError as error:
            raise BrokenAnswerError(str(error), begun=False) from None
        if answer.status == 101:
            answer.close()
            raise BrokenAnswerError("switched protocols unasked", begun=True)
        return AiohttpResponse(answer, body)

    def sweep(self) -> None:
        """The connector does that by itself."""

    def forget(self, address: Address) -> None:
        """It cannot be told."""

    def close(self) -> None:
        """Closed by whoever awaits the session."""


class AiohttpResponse:
    """An answer of aiohttp's."""

    def __init__(self, answer: aiohttp.ClientResponse, body: RequestBody) -> None:
        self._answer = answer
        self._error: Exception | None = None
        self._watch = asyncio.create_task(self._watch_client(body))
        self.status = answer.status
        self.headers = [(name.lower(), value) for name, value in answer.raw_headers]

    async def _watch_client(self, body: RequestBody) -> None:
        await body.client_gone()
        self.interrupt(ClientGoneError())

    async def read(self) -> bytes:
        """What has come of the body."""
        try:
            data = await self._answer.content.readany()
        except aiohttp.ClientError as error:
            raise self._error or BrokenAnswerError(str(error), begun=True) from None
        except TimeoutError:
            raise SlowAnswerError("the answer stood still") from None
        return data

    async def write(self, data: bytes) -> None:
        """Not offered."""
        raise NotImplementedError

    def complete(self) -> bool:
        """Whether there is nothing more to read."""
        return self._answer.content.at_eof()

    def interrupt(self, error: Exception) -> None:
        """Cut the connection."""
        self._error = error
        self._answer.close()

    def close(self) -> None:
        """Give the connection back, or cut it."""
        self._watch.cancel()
        if self.complete():
            self._answer.release()
        else:
            self._answer.close()


def never_gone() -> Callable[[], Awaitable[dict[str, object]]]:
    """A client that stays until its request is over."""
    gone = asyncio.Event()

    async def receive() -> dict[str, object]:
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive


async def ask(client: UpstreamClient, address: Address) -> None:
    body = RequestBody(never_gone(), length=None, chunked=False)
    response = await client.send(address, Request("GET", b"/v1/items?limit=20", HEADERS, body, 15))
    received = 0
    while not response.complete():
        received += len(await response.read())
    response.close()
    assert received == len(BODY)


async def measured(client: UpstreamClient, address: Address, concurrent: int) -> float:
    """CPU microseconds of this process for one request."""
    rest = iter(range(REQUESTS))
    started = time.process_time()
    await asyncio.gather(*(keep_asking(rest, client, address) for _ in range(concurrent)))
    return (time.process_time() - started) / REQUESTS * 1e6


async def keep_asking(rest: Iterator[int], client: UpstreamClient, address: Address) -> None:
    for _ in rest:
        await ask(client, address)


async def compare(address: Address, rounds: int) -> None:
    clients: dict[str, UpstreamClient] = {
        "own": Http1Client(connect_timeout_seconds=1, idle_timeout_seconds=60),
        "aiohttp": AiohttpClient(),
    }
    for concurrent in CONCURRENT:
        taken: dict[str, list[float]] = {name: [] for name in clients}
        for number in range(rounds + 1):
            for name in list(clients)[:: -1 if number % 2 else 1]:
                microseconds = await measured(clients[name], address, concurrent)
                if number:  # the first round warms up
                    taken[name].append(microseconds)
        ratios = [other / own for own, other in zip(taken["own"], taken["aiohttp"], strict=True)]
        low, high = min(ratios), max(ratios)
        print(
            f"{concurrent:>3} at once: own {statistics.median(taken['own']):.0f} us, "
            f"aiohttp {statistics.median(taken['aiohttp']):.0f} us of CPU a request; "
            f"aiohttp/own {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}, {rounds} rounds)"
        )
    await clients["aiohttp"].session.close()  # type: ignore[attr-defined]


class _Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.transport.write(ANSWER)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Start the server and compare."""
    if sys.argv[1:] == ["serve"]:
        uvloop.run(serve())
        return
    rounds = int(sys.argv[1]) if sys.argv[1:] else 8
    with subprocess.Popen([sys.executable, "-m", __spec__.name, "serve"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            uvloop.run(compare(("127.0.0.1", port), rounds))
        finally:
            server.kill()


if __name__ == "__main__":
    main()

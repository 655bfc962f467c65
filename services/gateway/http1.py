"""An HTTP/1.1 client for a proxy: httptools reads, nothing is decoded, followed, remembered or retried."""

import asyncio
import time
from collections import defaultdict

from services.gateway.client import Address, Request
from services.gateway.connection import Connection
from services.gateway.exceptions import ClientGoneError, ConnectError, SlowAnswerError
from services.gateway.headers import Header

IDLE_SECONDS = 60.0  # shorter than the 120 s of a service, so that the client is the one to close


class Http1Client:
    """Keeps idle connections by pod, the warmest first.

    There are never more than requests were at work at once in the last minute, and these are bounded. To keep fewer
    would open and close a connection for each request beyond that number.
    """

    def __init__(self, *, connect_timeout_seconds: float, idle_timeout_seconds: float) -> None:
        """Take how long a connection may take to come about, and an answer to stand still."""
        self._connect_timeout = connect_timeout_seconds
        self.idle_timeout_seconds = idle_timeout_seconds
        self._idle: defaultdict[Address, list[Connection]] = defaultdict(list)
        self._open: set[Connection] = set()

    @property
    def open_connections(self) -> int:
        """How many there are, idle and at work."""
        return len(self._open)

    async def send(self, address: Address, request: Request) -> "Http1Response":
        """Ask one pod. Raises UpstreamError, ClientGoneError, and what the request's body raises."""
        connection = self._take(address) or await self._connect(address)
        response = Http1Response(self, address, connection, request)
        try:
            await response.begin()
        except BaseException:
            response.close()
            raise
        return response

    def _take(self, address: Address) -> Connection | None:
        idle = self._idle[address]
        due = time.monotonic() - IDLE_SECONDS
        while idle:
            connection = idle.pop()
            if connection.idle_since > due and connection.is_fit:
                return connection
            connection.abort()
        return None

    async def _connect(self, address: Address) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(lambda: _Counted(self._open), *address)
        except TimeoutError:
            raise ConnectError("no connection in time") from None
        except OSError as error:
            raise ConnectError(error.strerror or str(error)) from None
        return connection

    def give_back(self, address: Address, connection: Connection) -> None:
        """Keep a connection for the next request, or close it."""
        if connection.is_reusable:
            connection.release()
            self._idle[address].append(connection)
        else:
            connection.abort()

    def sweep(self) -> None:
        """Close what has been idle for too long."""
        due = time.monotonic() - IDLE_SECONDS
        for idle in self._idle.values():
            while idle and (idle[0].idle_since <= due or not idle[0].is_fit):
                idle.pop(0).abort()

    def forget(self, address: Address) -> None:
        """Close the idle connections to a pod that is no more."""
        for connection in self._idle.pop(address, []):
            connection.abort()

    def close(self) -> None:
        """Close all connections."""
        self._idle.clear()
        for connection in list(self._open):
            connection.abort()


class _Counted(Connection):
    """A connection that is in a set for as long as it is open."""

    def __init__(self, connections: set[Connection]) -> None:
        super().__init__()
        self._connections = connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(exc)


class Http1Response:
    """One exchange: the body goes out in a task of its own, while the answer is awaited."""

    def __init__(self, client: Http1Client, address: Address, connection: Connection, request: Request) -> None:
        self.connection = connection
        self._client = client
        self._address = address
        self._request = request
        self._limit = asyncio.timeout(None)
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def status(self) -> int:
        """The status."""
        return self.connection.status

    @property
    def headers(self) -> list[Header]:
        """The headers, names in lower case, in their order."""
        return self.connection.headers

    async def begin(self) -> None:
        """Send the request and wait for the head of its answer."""
        request = self._request
        self.connection.start(request.method, _head(request), upgrade=request.upgrade)
        self._pump = asyncio.create_task(self._send_body())
        try:
            async with self._limit:
                await self.connection.head()
        except TimeoutError:
            raise SlowAnswerError("no answer in time") from None

    async def _send_body(self) -> None:
        """Send the body, then wait for the client to hang up: then nobody wants the answer."""
        connection, body = self.connection, self._request.body
        try:
            async for part in body.parts():
                await connection.write(b"%x\r\n%b\r\n" % (len(part), part) if body.chunked else part)
            if body.chunked:
                await connection.write(b"0\r\n\r\n")
            connection.end_request()
            if not self.status:
                self._limit.reschedule(asyncio.get_running_loop().time() + self._request.timeout_seconds)
            if not self._request.upgrade:  # else what comes from the client is the other protocol's
                await body.client_gone()
                if not connection.complete:
                    connection.abort(ClientGoneError())
        except Exception as error:  # noqa: BLE001 - whoever waits for the answer gets it
            connection.abort(error)

    async def read(self) -> bytes:
        """What has come of the body, waiting for some of it; empty at its end. Raises UpstreamError."""
        try:
            async with asyncio.timeout(self._client.idle_timeout_seconds):
                return await self.connection.read()
        except TimeoutError:
            raise SlowAnswerError("the answer stood still") from None

    async def write(self, data: bytes) -> None:
        """After a 101 that was asked for: send on by the other protocol."""
        await self.connection.write(data)

    def complete(self) -> bool:
        """Whether there is nothing more to read."""
        return self.connection.exhausted

    def interrupt(self, error: Exception) -> None:
        """Cut the connection; whoever reads gets this error."""
        self.connection.abort(error)

    def close(self) -> None:
        """Give the connection back when the exchange is finished, else cut it. Again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None  # it knows us: a ring would be left to the garbage collector, each request
        if self.complete():
            self._client.give_back(self._address, self.connection)
        else:
            self.connection.abort()


def _head(request: Request) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.target)]
    lines += [name + b": " + value for name, value in request.headers]
    if request.body.chunked:
        lines.append(b"transfer-encoding: chunked")
    elif request.body.length is not None:
        lines.append(b"content-length: %d" % request.body.length)
    return b"\r\n".join(lines) + b"\r\n\r\n"

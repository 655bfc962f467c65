"""What the gateway asks of an HTTP client, whichever one it is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Receive

from services.gateway.exceptions import ClientGoneError
from services.gateway.headers import Header

Address = tuple[str, int]

REPLAY_BYTES = 64 * 1024  # of a body are kept, so that it can be sent a second time


class RequestBody:
    """The body of a request as it arrives from the client; a short one can be read again from its start."""

    def __init__(self, receive: Receive, *, length: int | None, chunked: bool) -> None:
        """Take its announced length, or that it comes in chunks; with neither there is none."""
        self._receive = receive
        self.length = length
        self.chunked = chunked
        self.complete = not chunked and not length
        self._kept: list[bytes] | None = []
        self._kept_bytes = 0

    @property
    def replayable(self) -> bool:
        """Whether all that has been read is still here."""
        return self._kept is not None

    async def parts(self) -> AsyncIterator[bytes]:
        """All parts, from the first on. Raises ClientGoneError, and what the layers in front refuse a body with."""
        for part in list(self._kept or ()):
            yield part
        while not self.complete:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            part = message.get("body", b"")
            self._keep(part)
            self.complete = not message.get("more_body", False)
            if part:
                yield part

    async def client_gone(self) -> None:
        """Return when the client has hung up, or has its answer. Only when the body is complete."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _keep(self, part: bytes) -> None:
        self._kept_bytes += len(part)
        if self._kept_bytes > REPLAY_BYTES:
            self._kept = None
        elif self._kept is not None and part:
            self._kept.append(part)


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one pod. `timeout_seconds` runs from its end to the beginning of the answer."""

    method: str
    target: bytes
    headers: list[Header]
    body: RequestBody
    timeout_seconds: float
    upgrade: bool = False  # whether 101 is an answer


class Response(Protocol):
    """An answer whose head has come."""

    @property
    def status(self) -> int:
        """The status."""

    @property
    def headers(self) -> list[Header]:
        """The headers, names in lower case, in their order."""

    async def read(self) -> bytes:
        """What has come of the body, waiting for some of it; empty at its end. Raises UpstreamError."""

    async def write(self, data: bytes) -> None:
        """After a 101 that was asked for: send on by the other protocol."""

    def complete(self) -> bool:
        """Whether there is nothing more to read."""

    def interrupt(self, error: Exception) -> None:
        """Cut the connection; whoever reads gets this error."""

    def close(self) -> None:
        """Give the connection back when the exchange is finished, else cut it. Again does nothing."""


class UpstreamClient(Protocol):
    """Sends a request, brings its answer, keeps connections for the next."""

    async def send(self, address: Address, request: Request) -> Response:
        """Ask one pod. Raises UpstreamError, ClientGoneError, and what the request's body raises."""

    def sweep(self) -> None:
        """Close what has been idle for too long; called every few seconds."""

    def forget(self, address: Address) -> None:
        """Close the idle connections to a pod that is no more."""

    def close(self) -> None:
        """Close all connections."""

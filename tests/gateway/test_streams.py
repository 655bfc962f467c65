"""A stream ends when the token that opened it is revoked, at once and whole; those of others go on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from services.common.redis import open_redis
from services.common.revocations import LIFE_SECONDS, STREAM, Revocation, fields
from tests.gateway.cluster import pod_process
from tests.gateway.conftest import Gateway, MakeGateway
from tests.support.servers import free_port
from tests.support.tokens import Issuer

POD = "127.0.0.2"
WAIT_SECONDS = 20


@pytest.fixture(scope="module")
async def gateway(make_gateway: MakeGateway, redis_url: str) -> AsyncIterator[Gateway]:
    port = free_port()
    route = {"upstream": f"http://{POD}:{port}", "public": False}
    with pod_process(POD, port):
        async with make_gateway({"/v1/pod": route}, state_url=redis_url) as made:
            yield made


async def revoke_session(redis_url: str, session_id: str) -> None:
    """As auth tells of it."""
    entry = fields(Revocation("session", session_id, 0, int(time.time()) + LIFE_SECONDS))
    async with open_redis(SecretStr(redis_url)) as redis:
        await redis.xadd(STREAM, entry)  # type: ignore[arg-type] # its keys are invariant


@asynccontextmanager
async def events(gateway: Gateway, headers: dict[str, str]) -> AsyncIterator[asyncio.StreamReader]:
    """A stream of events that has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET /v1/pod/events HTTP/1.1\r\nHost: a\r\n{head}\r\n".encode())
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await reader.readuntil(f"data: {POD}".encode())
        yield reader
    finally:
        writer.close()


async def test_events_end_with_their_token(gateway: Gateway, redis_url: str, issuer: Issuer) -> None:
    revoked = str(uuid4())
    alices, bobs = issuer.headers(sid=revoked), issuer.headers(sid=str(uuid4()))
    async with events(gateway, alices) as hers, events(gateway, bobs) as his:
        await revoke_session(redis_url, revoked)

        async with asyncio.timeout(WAIT_SECONDS):
            await hers.readuntil(b"\r\n0\r\n\r\n")  # whole, to its end
            for _ in range(20):
                await his.readuntil(f"data: {POD}".encode())
    assert (await gateway.client.get("/v1/pod", headers=alices)).status_code == 401
    assert (await gateway.client.get("/v1/pod", headers=bobs)).status_code == 200


async def test_a_websocket_ends_with_its_token(gateway: Gateway, redis_url: str, issuer: Issuer) -> None:
    url = f"ws://127.0.0.1:{gateway.port}/v1/pod/ws"
    revoked = str(uuid4())
    alices, bobs = issuer.headers(sid=revoked), issuer.headers(sid=str(uuid4()))
    async with connect(url, additional_headers=alices) as hers, connect(url, additional_headers=bobs) as his:
        for socket in (hers, his):
            await socket.send("a")
            assert await socket.recv() == f"{POD} a"

        await revoke_session(redis_url, revoked)

        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(hers.recv(), WAIT_SECONDS)
        await his.send("b")
        assert await his.recv() == f"{POD} b"
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "the token is revoked")

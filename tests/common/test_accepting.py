"""Connections that come together while the loop has much to do."""

import asyncio
import gc
import socket

import uvloop
from prometheus_client import CollectorRegistry

from services.common.health import Health
from services.common.server import ACCEPTED_AT_ONCE, Server, listen, server_config
from tests.common.sample.main import SampleSettings, create_app

CONNECTIONS = 8 * ACCEPTED_AT_ONCE


def test_connections_that_come_together_are_taken_many_in_a_turn_of_the_loop() -> None:
    """Counted in turns: how long one lasts is a matter of how much the loop has to do."""
    bound = listen("127.0.0.1", 0)
    address = bound.getsockname()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        turns = runner.run(turns_to_take_all(bound))

        assert turns <= CONNECTIONS // ACCEPTED_AT_ONCE + 2
        with socket.socket() as late:
            assert late.connect_ex(address) != 0  # no copy of the socket listens on


async def turns_to_take_all(bound: socket.socket) -> int:
    config = server_config(create_app(SampleSettings()), registry=CollectorRegistry(), shutdown_seconds=5)
    config.load()
    server = Server(config, health=Health(), drain_seconds=0)
    server.lifespan = config.lifespan_class(config)
    await server.startup([bound])
    gc.unfreeze()  # this process goes on with other tests
    clients = [socket.create_connection(bound.getsockname()) for _ in range(CONNECTIONS)]  # the loop stands still
    turns = 0
    while len(server.server_state.connections) < CONNECTIONS:
        await asyncio.sleep(0)
        turns += 1
        assert turns <= 2 * CONNECTIONS
    for client in clients:
        client.close()
    await server.shutdown([bound])
    return turns

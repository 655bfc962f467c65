"""`python -m tests.gateway.standing serve`, with DNS_FILE. CLOCK_AHEAD sets its clock wrong.

The file has an address a line, which stands for every name, or `name address`.
"""

import asyncio
import os
import time
from functools import partial
from pathlib import Path

from services.common.process import run
from services.gateway.main import create_app
from services.gateway.settings import GatewaySettings

DNS_FILE = Path(os.environ["DNS_FILE"])

if ahead := float(os.environ.get("CLOCK_AHEAD", "0")):
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + ahead
    time.time_ns = lambda: right_ns() + int(ahead * 1e9)


async def from_file(host: str, _: int) -> list[str]:
    """The addresses that the file holds now for a name."""
    lines = (await asyncio.to_thread(DNS_FILE.read_text, "ascii")).splitlines()
    return [address for *names, address in map(str.split, lines) if host in (names or [host])]


if __name__ == "__main__":
    run("gateway", create_app=partial(create_app, resolve=from_file), settings=GatewaySettings)

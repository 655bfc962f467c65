"""`python -m tests.gateway.standing serve`, with DNS_FILE: one address a line."""

import asyncio
import os
from functools import partial
from pathlib import Path

from services.common.process import run
from services.gateway.main import create_app
from services.gateway.settings import GatewaySettings

DNS_FILE = Path(os.environ["DNS_FILE"])


async def from_file(_: str, __: int) -> list[str]:
    """The addresses that the file holds now."""
    return (await asyncio.to_thread(DNS_FILE.read_text, "ascii")).split()


if __name__ == "__main__":
    run("gateway", create_app=partial(create_app, resolve=from_file), settings=GatewaySettings)

"""Load through the edge: bounded in time and number, and only ever against loopback."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2

THREADS = 3
MOST_SECONDS, MOST_REQUESTS = 240, 60_000


@contextmanager
def load(client: httpx2.Client, path: str) -> Iterator[None]:
    """GET `path` as fast as it is answered for as long as the block lasts, within the bounds above."""
    stop = threading.Event()
    deadline = time.monotonic() + MOST_SECONDS

    def ask() -> None:
        for _ in range(MOST_REQUESTS // THREADS):
            if stop.is_set() or time.monotonic() > deadline:
                return
            client.get(path)

    with ThreadPoolExecutor(THREADS) as pool:
        workers = [pool.submit(ask) for _ in range(THREADS)]
        try:
            yield
        finally:
            stop.set()
    for worker in workers:
        worker.result()

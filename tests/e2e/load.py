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
def load(client: httpx2.Client, path: str) -> Iterator[list[int]]:
    """GET `path` as fast as it is answered for as long as the block lasts, within the bounds above.

    Notes every status; a request without an answer raises at the end.
    """
    seen: list[int] = []  # by several threads, which an addition would lose some of
    stop = threading.Event()
    deadline = time.monotonic() + MOST_SECONDS

    def ask() -> None:
        for _ in range(MOST_REQUESTS // THREADS):
            if stop.is_set() or time.monotonic() > deadline:
                return
            seen.append(client.get(path).status_code)

    with ThreadPoolExecutor(THREADS) as pool:
        workers = [pool.submit(ask) for _ in range(THREADS)]
        try:
            yield seen
        finally:
            stop.set()
    for worker in workers:
        worker.result()

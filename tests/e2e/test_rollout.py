"""A rolling restart under continuous, numbered writes and reads through the edge."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import pytest

from k8s.local import commands
from tests.e2e import edge
from tests.e2e.releases import OwnRelease

pytestmark = pytest.mark.e2e

AFTER_SECONDS = 8  # longer than the old pod drains
PAUSE_SECONDS = 0.02


@dataclass
class Traffic:
    """What was sent and what came of it."""

    run: str = field(default_factory=lambda: f"run-{secrets.token_hex(4)}-")
    written: list[str] = field(default_factory=list)
    reads: int = 0
    failures: list[str] = field(default_factory=list)


@pytest.mark.full  # test_disruption.py does the like to every service
def test_a_rolling_restart_loses_no_request(release: OwnRelease) -> None:
    before = release.pod("items")["metadata"]["uid"]
    with release.client() as client:
        with traffic(client) as sent:
            time.sleep(1)
            restart(release)
            time.sleep(AFTER_SECONDS)
        stored = names(client, sent.run)

    assert release.pod("items")["metadata"]["uid"] != before
    assert sent.failures == [], "\n".join([*sent.failures, release.report()])
    assert min(len(sent.written), sent.reads) > 100
    assert sorted(stored) == sorted(sent.written)  # each acknowledged write once, and no other


@contextmanager
def traffic(client: httpx2.Client) -> Iterator[Traffic]:
    """One writer and one reader, without retries, for as long as the block lasts."""
    sent, stop = Traffic(), threading.Event()
    location = client.post("/v1/items", json=edge.make_item()).raise_for_status().headers["location"]

    def write() -> None:
        name = f"{sent.run}{len(sent.written) + len(sent.failures):05}"
        answer = client.post("/v1/items", json=edge.make_item(name=name))
        if noted(answer, 201, sent):
            sent.written.append(name)

    def read() -> None:
        sent.reads += noted(client.get(location), 200, sent)

    def keep(doing: Callable[[], None]) -> None:
        while not stop.is_set():
            try:
                doing()
            except httpx2.TransportError as error:
                sent.failures.append(f"{doing.__name__}: {error!r}")
            time.sleep(PAUSE_SECONDS)

    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(keep, write), pool.submit(keep, read)]
        try:
            yield sent
        finally:
            stop.set()
    for worker in workers:
        worker.result()


def noted(answer: httpx2.Response, expected: int, sent: Traffic) -> bool:
    """Whether the answer is the expected one; any other is written down."""
    if answer.status_code != expected:
        request = answer.request
        sent.failures.append(f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:200]}")
    return answer.status_code == expected


def restart(release: OwnRelease) -> None:
    """`kubectl rollout restart` of items, until the new pod has taken over."""
    kubectl, deployment = release.kube.cluster.kubectl, f"deployment/{release.name}-items"
    commands.run(*kubectl("-n", release.namespace, "rollout", "restart", deployment))
    commands.run(*kubectl("-n", release.namespace, "rollout", "status", deployment, "--timeout=90s"), timeout=100)


def names(client: httpx2.Client, prefix: str) -> list[str]:
    """The names of all the caller's items that begin so, page by page."""
    found, query = [], {"name_prefix": prefix, "limit": "100"}
    while True:
        page = client.get("/v1/items", params=query).raise_for_status().json()
        found += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]

"""Requests spread over the pods behind a name, seen on real processes at addresses of their own."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.cluster import Cluster, cluster
from tests.support import waits
from tests.support.tokens import KeyServer

A, B, C, D = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"


@pytest.fixture
def three(tmp_path: Path, jwks: KeyServer) -> Iterator[Cluster]:
    with cluster(tmp_path / "dns", jwks.url, (A, B, C), SLOW_START_SECONDS="10") as made:
        yield made


def pods_known(made: Cluster) -> float:
    return made.sample("gateway_upstream_pods")


async def test_requests_spread_evenly_a_new_pod_gets_its_share_and_one_that_leaves_gets_nothing(
    three: Cluster,
) -> None:
    # one at a time: how fast each pod is, on a machine with other work, has no say in it
    answers = await three.ask(3000, connections=1)
    print(f"3,000 over three pods: {answers}")
    assert answers.keys() == {A, B, C}
    assert all(850 <= count <= 1150 for count in answers.values()), answers

    three.start(D)
    await waits.until(lambda: pods_known(three) == 4, "the new pod")
    assert (await three.ask(100))[D] < 25  # it begins slowly
    seen: Counter[str] = Counter()
    async with asyncio.timeout(90):
        while not 0.85 / 4 <= seen[D] / max(1, seen.total()) <= 1.15 / 4:
            await asyncio.sleep(1)
            seen = await three.ask(1000, connections=1)

    three.know(B, C, D)
    await waits.until(lambda: pods_known(three) == 3, "the pod's leave")
    answers = await three.ask(1000)
    assert answers.keys() == {B, C, D}


async def test_a_busy_pod_gets_less(three: Cluster) -> None:
    """Those of one pod are slow: at even shares they would pile up there."""
    three.pods[A].popen.send_signal(signal.SIGSTOP)
    try:
        waiting = asyncio.create_task(three.ask(40, connections=40))
        await waits.until(lambda: three.sample("http_requests_in_flight", kind="request") > 0, "one that waits")
        answers = await three.ask(600)
    finally:
        three.pods[A].popen.send_signal(signal.SIGCONT)
    answers += await waiting

    assert answers.total() == 640
    assert answers.keys() <= {A, B, C, "504"}, answers
    assert answers[A] + answers["504"] < 60  # where this took so long that the gateway gave up, it was A's too


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_killed_pod_costs_idempotent_requests_nothing(three: Cluster, method: str) -> None:
    asked = asyncio.create_task(three.ask(2000, method=method))
    await waits.until(lambda: three.sample("gateway_upstream_duration_seconds_count") > 300, "300 requests")
    three.pods[A].popen.kill()

    answers = await asked
    assert answers.keys() <= {A, B, C}, answers
    assert answers.total() == 2000
    assert three.sample("gateway_upstream_retries_total", result="sent") >= 1
    assert three.sample("gateway_upstream_ejections_total") >= 1


async def test_a_dead_pod_costs_no_post_anything_either_when_it_refuses_connections(three: Cluster) -> None:
    three.pods[A].popen.kill()
    three.pods[A].popen.wait()

    answers = await three.ask(1000, method="POST")

    assert answers.keys() == {B, C}


async def test_a_pod_that_comes_back_is_used_again(three: Cluster) -> None:
    three.pods[A].popen.kill()
    three.pods[A].popen.wait()
    assert (await three.ask(200)).keys() == {B, C}
    assert three.sample("gateway_upstream_ejections_total") >= 1  # and more where this took longer than it lasts
    three.start(A, known=False)

    seen: Counter[str] = Counter()
    async with asyncio.timeout(60):
        while seen[A] < 0.85 / 3 * max(1, seen.total()):
            seen = await three.ask(300)


async def test_without_any_pod_it_is_503_at_once_and_well_again_with_the_first(tmp_path: Path, jwks: KeyServer) -> None:
    with cluster(tmp_path / "dns", jwks.url) as made:
        assert await made.ask(10) == {"503": 10}
        made.start(A)
        await waits.until(lambda: pods_known(made) == 1, "the pod")
        assert await made.ask(10) == {A: 10}

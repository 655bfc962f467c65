"""Pairs of pods that the network policies keep apart, and which connect as soon as the policies are gone."""

from collections.abc import Iterator

import pytest

from tests.e2e.kube import Kube, Object
from tests.e2e.pods import connects, start
from tests.e2e.releases import OwnRelease
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.e2e

Pair = tuple[str, str, int]

OPEN: list[Pair] = [
    ("gateway", "items", 8000),
    ("gateway", "auth", 8000),
    ("gateway", "state", 6379),
    ("items", "postgres", 5432),
    ("items", "cache", 6379),
    ("items", "state", 6379),
    ("items", "auth", 8000),
    ("auth", "postgres", 5432),
    ("auth", "state", 6379),
]
SHUT: list[Pair] = [
    ("stranger", "postgres", 5432),
    ("stranger", "gateway", 8000),
    ("stranger", "items", 8000),
    ("stranger", "items", 9000),
    ("stranger", "cache", 6379),
    ("stranger", "state", 6379),
    ("stranger", "auth", 8000),
    ("gateway", "postgres", 5432),
    ("gateway", "items", 9000),
    ("auth", "cache", 6379),
    ("auth", "items", 8000),
    ("items", "gateway", 8000),
    ("items", "auth", 9000),
    ("items", "kubernetes", 443),
]
"""No `calls` or `uses` of the development values draws these edges; the stranger is a neighbour in the namespace."""


@pytest.fixture(scope="module")
def stranger(kube: Kube, release: OwnRelease) -> Iterator[Object]:
    """A pod in the release's namespace that is none of the release's."""
    image = release.pod("items")["spec"]["containers"][0]["image"]
    sleep = ["python", "-c", "import time; time.sleep(3600)"]
    yield start(kube, release.namespace, "stranger", image, environment={}, command=sleep)
    kube.delete("Pod", "stranger", release.namespace)


def test_pairs_without_an_edge_are_refused_and_connect_without_the_policies(
    kube: Kube, release: OwnRelease, stranger: Object
) -> None:
    def reached(pairs: list[Pair]) -> list[Pair]:
        return [pair for pair in pairs if connects(kube, *connection(release, stranger, pair))]

    def soon(expected: list[Pair]) -> None:
        wait_until(
            f"of {SHUT} exactly {expected} connect",
            lambda: reached(SHUT) == expected,  # rules follow the objects within seconds
            seconds=60,
            otherwise=release.report,
        )

    assert reached(OPEN) == OPEN
    assert reached(SHUT) == []
    with release.changed({"networkPolicies": {"enabled": False}}):
        soon(SHUT)
        assert reached(OPEN) == OPEN
    soon([])
    assert reached(OPEN) == OPEN


def connection(release: OwnRelease, stranger: Object, pair: Pair) -> tuple[Object, str, int]:
    """Who connects, to which address and port: addresses, because a stranger may not be able to ask for names."""
    client, server, port = pair
    pod = stranger if client == "stranger" else release.pod(client)
    if server == "kubernetes":
        return pod, release.kube.get("Service", "kubernetes", "default")["spec"]["clusterIP"], port
    return pod, release.pod(server)["status"]["podIP"], port

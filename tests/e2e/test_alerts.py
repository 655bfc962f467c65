"""An alert of the running platform fires when its promise breaks, and clears when it holds again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from grafana.prometheus import Prometheus, PrometheusError
from k8s.local import commands
from k8s.local.prometheus import forwarded
from tests.e2e import edge
from tests.e2e.releases import OwnRelease
from tests.e2e.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.full]

FASTER = {"observability": {"bundled": True, "scrapeSeconds": 5, "alerts": {"windowDivisor": 12}}}
"""Minutes of five seconds; two minutes of a rate are still four scrapes."""
FIRE_SECONDS, CLEAR_SECONDS = 150, 240
CACHE = ("CacheUnavailable", "RedisDown")


def test_a_cache_that_is_gone_wakes_somebody_and_one_that_is_back_lets_them_sleep(release: OwnRelease) -> None:
    with release.changed(FASTER), release.client() as client, watching(release) as prometheus:
        item = client.post("/v1/items", json=edge.make_item(name="Watched")).headers["location"]
        with reading(client, item):
            wait_until(
                "reads come from the cache, and no alert about it fires",
                lambda: hits(prometheus) and not firing(prometheus) & set(CACHE),
                seconds=CLEAR_SECONDS,
                otherwise=lambda: told(release, prometheus),
            )
            scale(release, 0)
            try:
                wait_until(
                    "both alerts about the cache fire",
                    lambda: firing(prometheus) >= set(CACHE),
                    seconds=FIRE_SECONDS,
                    otherwise=lambda: told(release, prometheus),
                )
            finally:
                scale(release, 1)
            wait_until(
                "neither fires any more",
                lambda: not firing(prometheus) & set(CACHE),
                seconds=CLEAR_SECONDS,
                otherwise=lambda: told(release, prometheus),
            )


@contextmanager
def watching(release: OwnRelease) -> Iterator[Prometheus]:
    """The release's own Prometheus."""
    service = f"{release.name}-prometheus"
    with (
        forwarded(release.kube.cluster, 0, namespace=release.namespace, service=service) as url,
        Prometheus(url) as prometheus,
    ):
        yield prometheus


@contextmanager
def reading(client: httpx2.Client, path: str) -> Iterator[None]:
    """Somebody reads the same item ten times a second, whatever the answer."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(0.1):
            client.get(path)

    reader = threading.Thread(target=go_on)
    reader.start()
    try:
        yield
    finally:
        stop.set()
        reader.join(30)


def hits(prometheus: Prometheus) -> bool:
    """Whether the cache answers, as Prometheus sees it."""
    return bool(prometheus.query('sum(rate(items_cache_requests_total{result="hit"}[30s])) > 0'))


def firing(prometheus: Prometheus) -> set[str]:
    """Alerts that fire now."""
    return {series.labels["alertname"] for series in prometheus.query('ALERTS{alertstate="firing"}')}


def scale(release: OwnRelease, replicas: int) -> None:
    """So many pods of the cache."""
    name = f"statefulset/{release.name}-cache"
    commands.run(*release.kube.cluster.kubectl("-n", release.namespace, "scale", name, f"--replicas={replicas}"))


def told(release: OwnRelease, prometheus: Prometheus) -> str:
    """What Prometheus saw, and the pods."""
    try:
        seen = [(s.labels, s.last) for s in prometheus.query("up or redis_up or ALERTS or items_cache_requests_total")]
    except PrometheusError as error:
        return f"{error}\n{release.report()}"
    return "\n".join(map(str, seen)) + f"\n{release.report()}"

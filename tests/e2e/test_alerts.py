"""An alert of the running platform fires when its promise breaks, and clears when it holds again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import httpx2
import pytest

from grafana.prometheus import Prometheus, PrometheusError
from k8s.local import commands
from k8s.local.prometheus import forwarded
from tests.e2e import edge
from tests.e2e.releases import OwnRelease
from tests.e2e.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.full]

FASTER = {
    "services": {"items": {"routes": {"/v1/items": {"limits": [{"per": "principal", "count": 1000, "seconds": 1}]}}}},
    "observability": {"bundled": True, "scrapeSeconds": 5, "alerts": {"windowDivisor": 12}},
}
"""Minutes of five seconds; two minutes of a rate are still two scrapes. And a limit to ask `state` about."""
FIRE_SECONDS, CLEAR_SECONDS = 150, 240


@dataclass(frozen=True)
class Fault:
    """A server that is taken away, and the alerts that say so."""

    server: str
    alerts: frozenset[str]


FAULTS = (
    Fault("cache", frozenset({"CacheUnavailable", "RedisDown"})),
    Fault("state", frozenset({"LimitStoreGone", "RevocationsSilent", "RedisDown"})),
    Fault("postgres", frozenset({"PostgresDown", "DatabaseFails"})),
)


def test_a_server_that_is_gone_wakes_somebody_and_one_that_is_back_lets_them_sleep(release: OwnRelease) -> None:
    with release.changed(FASTER), release.client() as client, watching(release) as prometheus:
        item = client.post("/v1/items", json=edge.make_item(name="Watched")).headers["location"]
        with reading(client, item, "/v1/items"):
            for fault in FAULTS:
                quiet = partial(is_quiet, prometheus, fault)
                say = partial(told, release, prometheus)
                what = f"{fault.server}: {', '.join(sorted(fault.alerts))}"
                wait_until(f"{what} are quiet under load", quiet, seconds=CLEAR_SECONDS, otherwise=say)
                scale(release, fault.server, 0)
                try:
                    fires = partial(is_told, prometheus, fault)
                    wait_until(f"{what} fire", fires, seconds=FIRE_SECONDS, otherwise=say)
                finally:
                    scale(release, fault.server, 1)
                wait_until(f"{what} are quiet again", quiet, seconds=CLEAR_SECONDS, otherwise=say)


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
def reading(client: httpx2.Client, *paths: str) -> Iterator[None]:
    """Somebody reads each of these ten times a second, whatever the answer."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(0.1):
            for path in paths:
                with suppress(httpx2.HTTPError):
                    client.get(path)

    reader = threading.Thread(target=go_on)
    reader.start()
    try:
        yield
    finally:
        stop.set()
        reader.join(30)


def is_quiet(prometheus: Prometheus, fault: Fault) -> bool:
    """Whether requests are seen, and none of the fault's alerts fires."""
    seen = prometheus.query('sum(rate(items_cache_requests_total{result="hit"}[30s])) > 0')
    return bool(seen) and not firing(prometheus) & fault.alerts


def is_told(prometheus: Prometheus, fault: Fault) -> bool:
    """Whether all of the fault's alerts fire."""
    return firing(prometheus) >= fault.alerts


def firing(prometheus: Prometheus) -> set[str]:
    """Alerts that fire now."""
    return {series.labels["alertname"] for series in prometheus.query('ALERTS{alertstate="firing"}')}


def scale(release: OwnRelease, server: str, replicas: int) -> None:
    """So many pods of a server of the release's own."""
    name = f"statefulset/{release.name}-{server}"
    commands.run(*release.kube.cluster.kubectl("-n", release.namespace, "scale", name, f"--replicas={replicas}"))


def told(release: OwnRelease, prometheus: Prometheus) -> str:
    """What Prometheus saw, and the pods."""
    try:
        seen = [(s.labels, s.last) for s in prometheus.query("up or redis_up or ALERTS or items_cache_requests_total")]
    except PrometheusError as error:
        return f"{error}\n{release.report()}"
    return "\n".join(map(str, seen)) + f"\n{release.report()}"

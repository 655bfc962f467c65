"""What the Prometheus of `make up` sees: services, the servers' exporters, and what the node says of the pods."""

import pytest

from grafana.prometheus import Prometheus
from k8s.local.prometheus import forwarded
from tests.e2e.releases import Release
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.e2e

SEEN = {
    "every target answers": "count(up == 0) or vector(0)",
    "Postgres answers its exporter": 'pg_up{service="postgres"}',
    "the exporter sees what services do": 'sum(pg_stat_activity_count{datname="items"})',
    "the exporter sees settings": "pg_settings_max_connections",
    "both Redis answer theirs": "sum(redis_up)",
    "the node tells CPU of containers": 'sum(rate(container_cpu_usage_seconds_total{container="items"}[1m]))',
    "the node tells memory and its limits": 'max(container_spec_memory_limit_bytes{pod=~"slipway-items-.*"})',
}
NONE, SECONDS = "every target answers", 90


@pytest.mark.parametrize("what", SEEN)
def test_the_platform_is_seen(platform: Release, what: str) -> None:
    with (
        forwarded(platform.kube.cluster, 0, namespace=platform.namespace) as url,
        Prometheus(url) as prometheus,
    ):

        def seen() -> bool:
            values = [series.last for series in prometheus.query(SEEN[what])]
            return bool(values) and all((value == 0) == (what == NONE) for value in values)

        def targets() -> str:
            return "\n".join(f"{t['labels']} {t['health']} {t['lastError']}" for t in prometheus.targets())

        wait_until(what, seen, seconds=SECONDS, otherwise=targets)


def test_the_exporter_is_no_administrator(platform: Release) -> None:
    pod = platform.pod("postgres-exporter")

    (container,) = pod["spec"]["containers"]
    given = {v["name"]: v.get("value") or v["valueFrom"]["secretKeyRef"]["name"] for v in container["env"]}
    assert (given["DATA_SOURCE_USER"], given["DATA_SOURCE_PASS"]) == ("monitor", "slipway-postgres-exporter")

"""What Kubernetes says of the release, asked of the Prometheus of `make up`: each expression about it has an answer."""

import re
from collections.abc import Iterator

import pytest

from grafana import promql
from grafana.boards import ALL
from grafana.prometheus import Prometheus
from k8s.local.prometheus import forwarded
from tests.e2e.releases import Release
from tests.e2e.waiting import wait_until
from tests.grafana.expressions import EXPRESSIONS, without_thresholds

pytestmark = pytest.mark.e2e

KUBERNETES = ("kube_", "container_", "kubelet_")
"""Beginnings of the metrics of kube-state-metrics and of the kubelet."""
ASKED = {
    where: expr
    for where, expr in EXPRESSIONS.items()
    if any(metric.startswith(KUBERNETES) for metric in promql.metrics(expr))
}
QUIET = {
    "kube_pod_container_status_last_terminated_reason": "no container has ended",
    "container_cpu_cfs_periods_total": "no container has a limit of CPU",
    "container_cpu_cfs_throttled_periods_total": "no container has a limit of CPU",
    "container_network_receive_bytes_total": "this kubelet counts no pod's network",
    "container_network_transmit_bytes_total": "this kubelet counts no pod's network",
    "kubelet_volume_stats_available_bytes": "a volume that is a folder of the node is not measured",
    "kubelet_volume_stats_capacity_bytes": "a volume that is a folder of the node is not measured",
    "kubelet_volume_stats_used_bytes": "a volume that is a folder of the node is not measured",
}
"""Metrics that may have no series while all is well, and why."""
LISTS = [text for board in ALL for text in (board.services, board.pods) if any(name in text for name in KUBERNETES)]
"""What dashboards offer to choose from: label_values(series, label)."""
SECONDS = 90


@pytest.fixture(scope="module")
def prometheus(platform: Release) -> Iterator[Prometheus]:
    """The one of the release."""
    with forwarded(platform.kube.cluster, 0, namespace=platform.namespace) as url, Prometheus(url) as client:
        yield client


@pytest.mark.parametrize("where", ASKED)
def test_every_expression_about_kubernetes_has_an_answer_or_a_reason_to_have_none(
    platform: Release, prometheus: Prometheus, where: str
) -> None:
    expr = promql.filled(without_thresholds(ASKED[where]))
    reasons = promql.metrics(expr) & QUIET.keys()

    wait_until(
        f"{where} has an answer: {expr}",
        lambda: prometheus.query(expr) or reasons,
        seconds=SECONDS,
        otherwise=platform.report,
    )


@pytest.mark.parametrize("text", LISTS)
def test_every_list_to_choose_from_has_entries(platform: Release, prometheus: Prometheus, text: str) -> None:
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", text)
    assert found
    series, label = promql.filled(found[1]), found[2]

    wait_until(
        f"there are values of {label} in {series}",
        lambda: {each.labels[label] for each in prometheus.query(series)},
        seconds=SECONDS,
        otherwise=platform.report,
    )


def test_every_metric_that_is_asked_for_is_there_or_has_a_reason(platform: Release, prometheus: Prometheus) -> None:
    asked = {name for expr in ASKED.values() for name in promql.metrics(expr) if name.startswith(KUBERNETES)}

    assert QUIET.keys() <= asked
    wait_until(
        f"these are there: {sorted(asked - QUIET.keys())}",
        lambda: asked - QUIET.keys() <= prometheus.names(),
        seconds=SECONDS,
        otherwise=lambda: f"missing: {asked - prometheus.names()}\n{platform.report()}",
    )


def test_series_are_about_the_pods_of_the_release_by_their_own_names(platform: Release, prometheus: Prometheus) -> None:
    names = {pod["metadata"]["name"] for pod in platform.pods()}

    wait_until(
        f"each of {sorted(names)} is in a phase",
        lambda: names <= {series.labels["pod"] for series in prometheus.query("kube_pod_status_phase == 1")},
        seconds=SECONDS,
        otherwise=platform.report,
    )

    seen = prometheus.query('{__name__=~"kube_.+"}')
    assert {series.labels["namespace"] for series in seen if "namespace" in series.labels} == {platform.namespace}
    assert {series.labels["job"] for series in seen} == {"kube-state-metrics"}

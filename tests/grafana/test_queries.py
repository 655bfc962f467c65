"""Every PromQL expression of the repository, asked of a Prometheus that has scraped the platform under load."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from grafana import exporters, promql
from grafana.boards import ALL
from grafana.drawing.answers import Window
from grafana.drawing.board import NO_DATA, picture
from grafana.panels import Board
from grafana.preview import answers
from tests.grafana.expressions import EXPRESSIONS, without_thresholds
from tests.grafana.watched import CLIENT, PERSON, Watched, watched
from tests.support.traffic import Traffic

REQUESTS, ROUNDS, RATE = 120, 20, 40.0
"""A round of load sends so many; rounds go on until every metric was seen, at most so many."""
NOT_HERE = {
    "kube_": "kube-state-metrics needs a Kubernetes: tests/e2e/test_kubernetes_seen.py asks there",
    "container_": "the kubelet needs a Kubernetes: the same test asks there",
    "kubelet_": "the kubelet needs a Kubernetes: the same test asks there",
    "certmanager_": "cert-manager needs a Kubernetes",
    "nginx_": "ingress-nginx needs a Kubernetes",
    "traefik_": "Traefik stands before the platform, not in it",
}
"""Metrics, by the beginning of their names, that nothing here exports."""
QUIET = {
    "gateway_upstream_pod_ejections_total": "no pod was left alone",
    "gateway_limits_refused_total": "nobody asked too often",
    "gateway_requests_refused_total": "the gateway refused nothing but wrong tokens",
    "http_requests_refused_total": "no request was malformed",
    "limits_refused_total": "nobody tried too often to sign in",
    "revocation_lag_seconds_bucket": "there at 0: a quantile of no revocation has no value",
    "ALERTS": "no alert fires",
}
"""Metrics that have no series while all is well."""
ALONE = {
    "ServiceGone": "no service is gone",
    "SigningKeyNearEnd": "the key has a month left",
    "BacklogGrows": "there is no yesterday",
    "TokenKeysAway": "no fetch of the keys has failed",
}
"""Alerts whose series are there only while they fire."""


def used() -> set[str]:
    """Every metric that any expression reads, but for what our rules and Prometheus make."""
    names = {name for expr in EXPRESSIONS.values() for name in promql.metrics(expr)}
    return {name for name in names if not exporters.is_recorded(name)} - {"ALERTS"}


def is_not_here(metric: str) -> bool:
    """Whether what exports it cannot run here."""
    return metric.startswith(tuple(NOT_HERE))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The platform with load behind it: every metric that should be there was scraped twice."""
    with watched(tmp_path_factory.mktemp("watched")) as running:
        asyncio.run(load(running))
        running.at = running.prometheus.query("time()")[0].last
        yield running


async def load(running: Watched) -> None:
    """Rounds of traffic until nothing is missing; by counts, not by time, for machines differ."""
    wanted = {name for name in used() if not is_not_here(name)} - QUIET.keys()
    missing: set[str] = set()
    async with httpx2.AsyncClient(base_url=running.gateway.url, timeout=30) as http:
        traffic = Traffic(http, CLIENT, [PERSON], rate=RATE)
        for _ in range(ROUNDS):
            await traffic.run(count=REQUESTS)
            await revoke(http)
            missing = wanted - await asyncio.to_thread(running.prometheus.names)
            if not missing and await asyncio.to_thread(has_rates, running):
                return
    raise TimeoutError(f"after {ROUNDS * REQUESTS} requests missing: {missing}\n{traffic.told()}\n{running.log}")


async def revoke(http: httpx2.AsyncClient) -> None:
    """One token that is taken back, which the other services then hear of."""
    form = {"grant_type": "client_credentials", "scope": "items:read"}
    token = (await http.post("/oauth2/token", data=form, auth=CLIENT)).raise_for_status().json()["access_token"]
    (await http.post("/oauth2/revoke", data={"token": token}, auth=CLIENT)).raise_for_status()


def has_rates(running: Watched) -> bool:
    """Whether each service's requests were scraped often enough for a rate, and the slowest gauges were read."""
    rates = running.prometheus.query("sum by (service) (rate(http_requests_total[1m])) > 0")
    return {series.labels["service"] for series in rates} >= {"gateway", "items", "auth"}


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_expression_has_an_answer_or_a_reason_to_have_none(platform: Watched, where: str) -> None:
    expr = EXPRESSIONS[where]
    names = promql.metrics(expr)

    found = platform.prometheus.query(promql.filled(without_thresholds(expr)), at=platform.at)

    reasons = [name for name in names if is_not_here(name) or name in QUIET]
    assert found or reasons or where.rpartition(": ")[2] in ALONE, f"{where} has no answer: {expr}"


def test_every_metric_that_is_asked_for_is_exported(platform: Watched) -> None:
    missing = used() - platform.prometheus.names()

    assert {name for name in missing if not is_not_here(name)} <= QUIET.keys()


def test_no_reason_stands_for_what_nobody_asks() -> None:
    assert QUIET.keys() - {"ALERTS"} <= used()
    for beginning in NOT_HERE:
        assert any(name.startswith(beginning) for name in used()), beginning


def test_prometheus_reads_the_same_metrics_out_of_an_expression_as_we_do(platform: Watched) -> None:
    for where, expr in EXPRESSIONS.items():
        text = promql.filled(expr)
        answer = httpx2.get(f"{platform.prometheus_url}/api/v1/parse_query", params={"query": text}, timeout=10)
        assert set(selected(answer.raise_for_status().json()["data"])) == promql.metrics(expr), where


def selected(node: object) -> Iterator[str]:
    """Names of all selectors below a node of Prometheus' own tree."""
    if isinstance(node, dict):
        if node.get("type") in {"vectorSelector", "matrixSelector"} and node.get("name"):
            yield node["name"]
        for value in node.values():
            yield from selected(value)
    elif isinstance(node, list):
        for value in node:
            yield from selected(value)


def test_a_metric_by_another_name_is_seen_to_be_missing(platform: Watched) -> None:
    renamed = "sum(rate(items_cache_reads_total[1m]))"

    assert promql.metrics(renamed) - platform.prometheus.names() == {"items_cache_reads_total"}
    assert platform.prometheus.query(renamed) == []


@pytest.mark.parametrize("board", ALL, ids=lambda board: board.uid)
def test_every_dashboard_can_be_drawn(platform: Watched, board: Board, tmp_path: Path) -> None:
    window = Window(platform.at - 60, platform.at, 5)

    found = answers(platform.prometheus, board, window, platform.prometheus.names())
    drawn = picture(board, found)

    assert drawn.startswith(b"\x89PNG")
    assert [name for name, got in found.items() if got == NO_DATA] == []
    (tmp_path / f"{board.uid}.png").write_bytes(drawn)


def test_points_of_a_line_stand_in_the_order_of_time(platform: Watched) -> None:
    end = platform.at
    for series in platform.prometheus.query_range("up", start=end - 30, end=end, step=5):
        assert all(a[0] < b[0] for a, b in pairwise(series.points))

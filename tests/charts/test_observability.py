"""What watches the release: Prometheus and exporters of its own, and what an operator's Prometheus is given."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import build, promql
from grafana.alerts import ALL
from grafana.board_json import RUNBOOKS
from grafana.boards import ALL as BOARDS
from grafana.queries import workloads
from tests.charts.chart import Chart, Objects, Refused, containers, variables
from tests.charts.conftest import environment
from tests.charts.policies import Address, Network, Pod
from tests.charts.test_policies import component, network
from tests.support.prometheus import prometheus_program

ON = {
    "bundled": True,
    "podMonitors": True,
    "prometheusRule": True,
    "dashboards": True,
    "kubeStateMetrics": {"enabled": True},
    "exporters": {"enabled": True},
    "grafana": {"enabled": True},
    "jaeger": {"enabled": True},
}
PARTS = [
    *("cache-exporter", "grafana", "jaeger", "kube-state-metrics", "postgres-exporter", "prometheus"),
    "state-exporter",
]
KINDS = {word: f"{word}s" for word in ("deployment", "horizontalpodautoscaler", "job", "pod")}
"""Of kube-state-metrics: the second word of a metric's name, and what it is told to list."""


@pytest.fixture(scope="module")
def watched(chart: Chart) -> Objects:
    """The development values with everything that watches on."""
    return chart.render(environment("dev"), {"observability": ON})


def scrapes(objects: Objects) -> list[dict[str, Any]]:
    """The jobs of Prometheus' configuration that are about pods of the release."""
    return [job for job in jobs(objects) if "dns_sd_configs" in job]


def jobs(objects: Objects) -> list[dict[str, Any]]:
    """All of them."""
    text = objects.one("ConfigMap", "slipway-prometheus")["data"]["prometheus.yaml"]
    found: list[dict[str, Any]] = yaml.safe_load(text)["scrape_configs"]
    return found


def alerts(groups: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rules that are alerts, by name."""
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_production_brings_none_of_it(chart: Chart) -> None:
    objects = chart.render(environment("production"))

    assert not {f"slipway-{part}" for part in PARTS} & objects.kind("StatefulSet").keys()
    assert {o["kind"] for o in objects} & {"PodMonitor", "PrometheusRule"} == set()


def test_each_part_is_there_once_and_only_when_it_is_on(watched: Objects, chart: Chart) -> None:
    named = {f"slipway-{part}" for part in PARTS}
    off = {"exporters": {"enabled": False}, "kubeStateMetrics": {"enabled": False}}
    only = chart.render(environment("dev"), {"observability": {"bundled": True, **off}})

    assert named <= watched.kind("StatefulSet").keys()
    assert named & only.kind("StatefulSet").keys() == {"slipway-prometheus"}


def test_every_service_and_exporter_is_scraped_under_its_own_name(watched: Objects) -> None:
    found = {}
    for job in scrapes(watched):
        (discovery,) = job["dns_sd_configs"]
        (name,) = discovery["names"]
        labels = {r["target_label"]: r["replacement"] for r in job["relabel_configs"] if "replacement" in r}
        assert labels["namespace"] == "slipway"
        found[labels["service"]] = (name.split(".")[0], discovery["port"])

    assert found == {
        **{name: (f"slipway-{name}-scrape", 9000) for name in ("auth", "gateway", "items")},
        "postgres": ("slipway-postgres-exporter-scrape", 9187),
        "kube-state-metrics": ("slipway-kube-state-metrics-scrape", 8080),
        **{name: (f"slipway-{name}-exporter-scrape", 9121) for name in ("cache", "state")},
    }
    for service, port in found.values():
        spec = watched.one("Service", service)["spec"]
        assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
        assert [p["targetPort"] for p in spec["ports"]] == [port]


def test_exporters_come_only_with_servers_of_the_chart(chart: Chart) -> None:
    outside = {"deploy": False, "url": "redis://elsewhere:6379", "peers": [{"ipBlock": {"cidr": "203.0.113.6/32"}}]}

    objects = chart.render(environment("dev"), {"observability": ON, "cache": outside})

    assert "slipway-cache-exporter" not in objects.kind("StatefulSet")
    assert "slipway-state-exporter" in objects.kind("StatefulSet")


def test_exporters_read_passwords_from_secrets(watched: Objects) -> None:
    for part, variable, secret in (
        ("postgres-exporter", "DATA_SOURCE_PASS", "slipway-postgres-exporter"),
        ("cache-exporter", "REDIS_PASSWORD", "slipway-cache"),
        ("state-exporter", "REDIS_PASSWORD", "slipway-state"),
    ):
        (container,) = containers(watched.one("StatefulSet", f"slipway-{part}")["spec"]["template"])
        (found,) = (v for v in container["env"] if v["name"] == variable)
        assert found["valueFrom"]["secretKeyRef"] == {"name": secret, "key": "password"}
        assert "password" not in str([value for value in variables(container).values() if value])


def test_nodes_are_asked_with_a_token_that_opens_their_metrics_alone(watched: Objects, chart: Chart) -> None:
    off = {"prometheus": {"kubelet": False}, "kubeStateMetrics": {"enabled": False}}
    without = chart.render(environment("dev"), {"observability": off})

    (role,) = watched.kind("ClusterRole").values()
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
    ]
    (binding,) = watched.kind("ClusterRoleBinding").values()
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == ["slipway-prometheus"]
    assert not without.kind("ClusterRole")
    assert not without.kind("Role")
    assert "serviceAccountToken" not in str(without.kind("StatefulSet"))


def test_kube_state_metrics_lists_what_queries_ask_for_and_may_see_no_more_than_that(watched: Objects) -> None:
    name = "slipway-kube-state-metrics"
    (container,) = containers(watched.one("StatefulSet", name)["spec"]["template"])
    options = dict(word.removeprefix("--").split("=") for word in container["args"])
    board = [target.expr for board in BOARDS for panel in board.panels for target in panel.targets]
    asked = {n for expr in [*board, *(alert.expr for alert in ALL)] for n in promql.metrics(expr) if n[:5] == "kube_"}

    assert options["namespaces"] == "slipway"
    assert options["resources"].split(",") == sorted({KINDS[metric.split("_")[1]] for metric in asked})
    rules = watched.one("Role", name)["rules"]
    assert sorted(kind for rule in rules for kind in rule["resources"]) == options["resources"].split(",")
    assert {verb for rule in rules for verb in rule["verbs"]} == {"list", "watch"}
    binding = watched.one("RoleBinding", name)
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    assert [subject["name"] for subject in binding["subjects"]] == [name]
    assert "kube-state-metrics" not in str(watched.kind("ClusterRoleBinding"))


def test_a_series_of_kube_state_metrics_keeps_the_pod_and_namespace_that_it_is_about(watched: Objects) -> None:
    kept = [job["job_name"] for job in jobs(watched) if job.get("honor_labels")]

    assert kept == ["kube-state-metrics"]


def test_only_who_asks_the_kubernetes_api_gets_a_token_and_a_way_there(watched: Objects) -> None:
    policies = network(watched)
    for name, api, kubelets in (
        ("prometheus", True, True),
        ("kube-state-metrics", True, False),
        *((part, False, False) for part in PARTS if part not in ("prometheus", "kube-state-metrics")),
    ):
        pod = watched.one("StatefulSet", f"slipway-{name}")["spec"]["template"]["spec"]
        assert ("serviceAccountToken" in str(pod["volumes"])) == api, name
        assert pod["automountServiceAccountToken"] is False
        assert policies.allows(component(name), Address("172.31.255.2"), 6443) == api, name
        assert policies.allows(component(name), Address("172.31.255.2"), 10250) == kubelets, name


def test_of_what_nodes_say_only_the_releases_own_series_are_kept_and_each_once(watched: Objects) -> None:
    kept = {}
    for job in jobs(watched):
        if "kubernetes_sd_configs" in job:
            rules = job["metric_relabel_configs"]
            assert rules[0] == {"source_labels": ["namespace"], "regex": "slipway", "action": "keep"}
            kept[job["metrics_path"]] = re.compile(rules[1]["regex"])

    assert kept.keys() == {"/metrics", "/metrics/resource", "/metrics/cadvisor"}
    read = {name for expr in vars(workloads).values() if isinstance(expr, str) for name in promql.metrics(expr)}
    for name in (name for name in read if name.startswith(("container_", "kubelet_"))):
        assert [path for path, regex in kept.items() if regex.fullmatch(name)], name
    for name in ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes"):
        assert [path for path, regex in kept.items() if regex.fullmatch(name)] == ["/metrics/resource"]


def test_nodes_are_reached_where_the_values_say(watched: Objects, chart: Chart) -> None:
    elsewhere = chart.render(environment("dev"), {"networkPolicies": {"nodes": ["203.0.113.64/28"]}})

    for port in (6443, 10250):
        assert network(watched).allows(component("prometheus"), Address("172.31.255.2"), port)
        assert not network(watched).allows(component("prometheus"), Address("203.0.113.65"), port)
        assert not network(watched).allows(component("items"), Address("172.31.255.2"), port)
        assert network(elsewhere).allows(component("prometheus"), Address("203.0.113.65"), port)


def test_the_login_that_watches_postgres_is_made_by_the_roles_job(watched: Objects, chart: Chart) -> None:
    def job(objects: Objects) -> dict[str, Any]:
        (found,) = (job for name, job in objects.kind("Job").items() if name.startswith("slipway-roles-"))
        pod: dict[str, Any] = found["spec"]["template"]
        return pod

    def secrets(pod: dict[str, Any]) -> dict[str, list[str]]:
        (volume,) = (volume for volume in pod["spec"]["volumes"] if volume["name"] == "secrets")
        return {
            source["secret"]["name"]: [item["path"] for item in source["secret"]["items"]]
            for source in volume["projected"]["sources"]
        }

    without = job(chart.render(environment("production")))

    assert variables(containers(job(watched))[0])["MONITOR"] == "1"
    assert secrets(job(watched))["slipway-postgres-exporter"] == ["monitor-password"]
    assert variables(containers(without)[0])["MONITOR"] == "0"
    assert "slipway-postgres-exporter" not in secrets(without)


def test_a_postgres_that_no_service_uses_is_watched_too(chart: Chart) -> None:
    services = dict.fromkeys(("items", "auth", "gateway")) | {"web": {"public": True}}

    objects = chart.render(environment("dev"), {"services": services})

    assert [name for name in objects.kind("Job") if name.startswith("slipway-roles-")]


@pytest.mark.parametrize(
    ("source", "target", "port", "open_"),
    [
        *(("prometheus", name, 9000, True) for name in ("auth", "items", "gateway")),
        *(("prometheus", name, 8000, False) for name in ("auth", "items", "gateway")),
        ("prometheus", "postgres-exporter", 9187, True),
        ("prometheus", "cache-exporter", 9121, True),
        ("prometheus", "postgres", 5432, False),
        ("prometheus", "kube-state-metrics", 8080, True),
        ("items", "kube-state-metrics", 8080, False),
        ("kube-state-metrics", "postgres", 5432, False),
        ("kube-state-metrics", "prometheus", 9090, False),
        ("postgres-exporter", "postgres", 5432, True),
        ("postgres-exporter", "cache", 6379, False),
        ("cache-exporter", "cache", 6379, True),
        ("cache-exporter", "state", 6379, False),
        ("state-exporter", "state", 6379, True),
        ("grafana", "prometheus", 9090, True),
        ("grafana", "items", 9000, False),
        ("items", "jaeger", 4318, False),  # until tracing.endpoint and tracing.peers say so
        ("items", "prometheus", 9090, False),
        ("grafana", "postgres", 5432, False),
    ],
)
def test_what_watches_asks_what_it_must_and_nothing_else(
    watched: Objects, source: str, target: str, port: int, open_: bool
) -> None:
    assert network(watched).allows(component(source), component(target), port) == open_


@pytest.mark.parametrize("part", PARTS)
def test_what_watches_neither_reaches_the_world_nor_is_reached(watched: Objects, part: str) -> None:
    policies: Network = network(watched)

    assert not policies.allows(component(part), Address("198.51.100.1"), 443)
    for port in (3000, 8080, 9090, 16686):
        assert not policies.allows(Pod({}, namespace="ingress"), component(part), port)


def test_dashboards_are_those_of_the_repository(watched: Objects) -> None:
    boards = {
        file: json.loads(text)
        for config in watched.kind("ConfigMap").values()
        if config["metadata"]["labels"].get("grafana_dashboard") == "1"
        for file, text in config["data"].items()
    }

    assert boards == {path.name: json.loads(path.read_text()) for path in build.DASHBOARDS.glob("*.json")}
    (container,) = containers(watched.one("StatefulSet", "slipway-grafana")["spec"]["template"])
    assert "/dashboards" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_rules_are_the_same_for_the_operator_and_the_bundled_prometheus(watched: Objects) -> None:
    bundled = yaml.safe_load(watched.one("ConfigMap", "slipway-prometheus")["data"]["rules.yaml"])

    assert watched.one("PrometheusRule", "slipway-rules")["spec"] == bundled
    assert alerts(bundled["groups"]).keys() == {alert.name for alert in ALL}


def test_objectives_follow_the_services_of_the_values(chart: Chart) -> None:
    values = {
        "observability": {"prometheusRule": True},
        "services": {"items": {"objective": 0.95}, "worker": {"calls": ["items"]}},
    }

    spec = chart.render(environment("dev"), values).one("PrometheusRule", "slipway-rules")["spec"]

    assert {rule["labels"]["service"]: rule["expr"] for rule in spec["groups"][0]["rules"]} == {
        "auth": "vector(0.999)",
        "gateway": "vector(0.999)",
        "items": "vector(0.95)",
        "worker": "vector(0.999)",
    }


def test_windows_shrink_by_the_value_but_hold_four_scrapes(chart: Chart) -> None:
    values = {"observability": {"prometheusRule": True, "scrapeSeconds": 5, "alerts": {"windowDivisor": 12}}}

    found = alerts(chart.render(environment("dev"), values).one("PrometheusRule", "slipway-rules")["spec"]["groups"])

    assert "[20s]" in found["CacheUnavailable"]["expr"]  # of two minutes ten seconds are two scrapes
    assert found["CacheUnavailable"]["for"] == "10s"
    assert "[300s]" in found["PodRestarts"]["expr"]
    assert found["PodRestarts"]["for"] == "0s"
    assert not any("__" in str(rule) for rule in found.values())


def test_runbooks_are_where_the_values_say(chart: Chart) -> None:
    values = {"observability": {"prometheusRule": True, "alerts": {"runbooks": "https://wiki.example.com/runs"}}}

    found = alerts(chart.render(environment("dev"), values).one("PrometheusRule", "slipway-rules")["spec"]["groups"])

    assert found["RedisDown"]["annotations"]["runbook_url"] == "https://wiki.example.com/runs/RedisDown.md"
    assert RUNBOOKS not in str(found)


def test_monitors_label_pods_as_the_dashboards_ask(watched: Objects) -> None:
    services, exporters = (watched.one("PodMonitor", f"slipway-{name}")["spec"] for name in ("services", "exporters"))

    assert services["selector"]["matchExpressions"][0]["values"] == ["auth", "gateway", "items"]
    for monitor, port in ((services, "management"), (exporters, "http")):
        (endpoint,) = monitor["podMetricsEndpoints"]
        assert endpoint["port"] == port
        assert [r["targetLabel"] for r in endpoint["relabelings"]] == ["service"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"scrapeSeconds": 0}, "minimum"),
        ({"alerts": {"windowDivisor": 0}}, "minimum"),
        ({"alerts": {"runbooks": "docs/"}}, "runbooks"),
        ({"prometheus": {"retention": "long"}}, "retention"),
        ({"bundle": True}, "bundle"),
        (
            {"exporters": {"postgres": {"password": "monitor-secret-value", "existingSecret": "own"}}},
            "exclude each other",
        ),
        (
            {"kubeStateMetrics": {"enabled": True}},
            "observability.kubeStateMetrics.enabled is true and observability.bundled is false",
        ),
        ({"kubeStateMetrics": {"resource": {}}}, "resource"),
        ({"grafana": {"enabled": True}}, "observability.grafana.enabled is true and observability.bundled is false"),
    ],
)
def test_what_cannot_work_is_refused_by_name(chart: Chart, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        chart.render({"origin": "https://a.example", "observability": values})


def test_prometheus_reads_its_configuration_and_rules(watched: Objects, tmp_path: Path) -> None:
    data = watched.one("ConfigMap", "slipway-prometheus")["data"]
    (tmp_path / "rules.yaml").write_text(data["rules.yaml"])
    (tmp_path / "token").touch()
    text = data["prometheus.yaml"]
    for folder in ("/config/", "/var/run/secrets/kubernetes.io/serviceaccount/"):
        text = text.replace(folder, f"{tmp_path}/")
    (tmp_path / "prometheus.yaml").write_text(text)

    command = [str(prometheus_program("promtool")), "check", "config", "--lint=all", str(tmp_path / "prometheus.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr

"""Who scales a service, and by what: the chart's own autoscaler, or one that KEDA makes."""

import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from k8s.node import tools
from tests.charts.chart import ROOT, Chart, Manifest, Objects
from tests.charts.conftest import environment
from tests.charts.policies import Pod
from tests.charts.test_policies import component, network

KEDA = "github.com/kedacore/keda/v2"
BY_KEDA = {"services": {"items": {"autoscaling": {"driver": "keda", "targetRequestsInFlight": 20}}}}

NO_MORE_THAN_THERE_ARE = {"type": "Percent", "value": 100, "periodSeconds": 30}


@pytest.fixture(scope="module")
def scaled(chart: Chart) -> Objects:
    """The development values with items scaled by KEDA from the bundled Prometheus."""
    return chart.render(environment("dev"), BY_KEDA)


@pytest.fixture(scope="module")
def definition() -> Manifest:
    """The schema of a ScaledObject, closed: the API server drops fields that it does not know, without a word."""
    folder = tools.module_folder(KEDA, "keda") / "config/crd/bases"
    crd = yaml.safe_load((folder / "keda.sh_scaledobjects.yaml").read_text())
    (version,) = crd["spec"]["versions"]
    assert (crd["spec"]["group"], version["name"], version["served"]) == ("keda.sh", "v1alpha1", True)
    schema: Manifest = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def closed(schema: Any) -> Any:
    """The schema with every object that lists its fields refusing others."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return inner | ({"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {})


def triggers(objects: Objects, name: str = "slipway-items") -> dict[str, Manifest]:
    """What a ScaledObject scales by, by type."""
    return {trigger["type"]: trigger for trigger in objects.one("ScaledObject", name)["spec"]["triggers"]}


def test_a_service_has_one_autoscaler_of_one_kind(scaled: Objects) -> None:
    assert scaled.kind("ScaledObject").keys() == {"slipway-items"}
    assert scaled.kind("HorizontalPodAutoscaler").keys() == {"slipway-gateway"}
    assert "replicas" not in scaled.one("Deployment", "slipway-items")["spec"]
    assert "slipway-items" in scaled.kind("PodDisruptionBudget")


@pytest.mark.parametrize("values", ["dev", "everything"])
def test_a_scaled_object_fits_the_definition_of_keda(chart: Chart, definition: Manifest, values: str) -> None:
    objects = chart.render(environment(values), *([BY_KEDA] if values == "dev" else []))

    scaled = objects.kind("ScaledObject")

    assert scaled
    for manifest in scaled.values():
        jsonschema.validate(manifest, definition)


def test_the_definition_refuses_a_field_that_keda_does_not_know(scaled: Objects, definition: Manifest) -> None:
    manifest = scaled.one("ScaledObject", "slipway-items")

    with pytest.raises(jsonschema.ValidationError, match="cooldown"):
        jsonschema.validate(manifest | {"spec": manifest["spec"] | {"cooldown": 3}}, definition)


def test_keda_scales_by_cpu_and_by_requests_in_flight(scaled: Objects) -> None:
    by = triggers(scaled)

    assert by["cpu"]["metadata"] == {"value": "70"}
    asked = by["prometheus"]["metadata"]
    assert (asked["serverAddress"], asked["threshold"]) == ("http://slipway-prometheus.slipway:9090", "20")
    assert by["prometheus"]["metricType"] == "AverageValue"  # the sum over all pods, shared among them
    assert asked["ignoreNullValues"] == "false"
    spec = scaled.one("ScaledObject", "slipway-items")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 3)
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == {
        "scaleUp": {"policies": [NO_MORE_THAN_THERE_ARE]},
        "scaleDown": {"stabilizationWindowSeconds": 30},
    }
    assert "fallback" not in spec


def test_keda_asks_for_a_series_that_prometheus_labels_so(scaled: Objects) -> None:
    query = triggers(scaled)["prometheus"]["metadata"]["query"]

    assert f"```promql\n{query}\n```" in (ROOT / "docs/operations.md").read_text()  # blocks are asked of a live one
    assert dict(re.findall(r'(\w+)="(\w+)"', query)) == {"namespace": "slipway", "service": "items", "kind": "request"}
    (job,) = (
        job
        for job in yaml.safe_load(scaled.one("ConfigMap", "slipway-prometheus")["data"]["prometheus.yaml"])[
            "scrape_configs"
        ]
        if job["job_name"] == "slipway-items"
    )
    labels = {r["target_label"]: r.get("replacement") for r in job["relabel_configs"]}
    assert (labels["namespace"], labels["service"]) == ("slipway", "items")


def test_another_prometheus_is_asked_where_the_values_say(chart: Chart) -> None:
    values = {
        "defaults": {"autoscaling": {"prometheusUrl": "http://prometheus.monitoring:9090"}},
        **BY_KEDA,
        "observability": {"bundled": False, "kubeStateMetrics": {"enabled": False}},
    }

    asked = triggers(chart.render(environment("dev"), values))["prometheus"]["metadata"]

    assert asked["serverAddress"] == "http://prometheus.monitoring:9090"


def test_only_keda_and_only_where_it_asks_gets_to_the_bundled_prometheus(chart: Chart, scaled: Objects) -> None:
    without = chart.render(environment("dev"))
    keda, other = Pod({}, namespace="keda"), Pod({}, namespace="tools")

    assert network(scaled).allows(keda, component("prometheus"), 9090)
    assert not network(scaled).allows(other, component("prometheus"), 9090)
    assert not network(without).allows(keda, component("prometheus"), 9090)


def test_the_charts_own_autoscaler_takes_requests_in_flight_beside_cpu(chart: Chart) -> None:
    plain = chart.render(environment("dev"))
    both = chart.render(environment("dev"), "defaults.autoscaling.targetRequestsInFlight=25")

    def metrics(objects: Objects) -> list[Manifest]:
        found: list[Manifest] = objects.one("HorizontalPodAutoscaler", "slipway-items")["spec"]["metrics"]
        return found

    assert [metric["type"] for metric in metrics(plain)] == ["Resource"]
    assert metrics(both) == [
        *metrics(plain),
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "http_requests_in_flight", "selector": {"matchLabels": {"kind": "request"}}},
                "target": {"type": "AverageValue", "averageValue": "25"},
            },
        },
    ]


def test_no_more_pods_start_at_a_time_than_serve(dev: Objects) -> None:
    """Kubernetes' own rule makes four of one at once, whose starts take the CPU of the one that serves."""
    autoscalers = dev.kind("HorizontalPodAutoscaler").values()

    assert autoscalers
    for autoscaler in autoscalers:
        assert autoscaler["spec"]["behavior"]["scaleUp"] == {"policies": [NO_MORE_THAN_THERE_ARE]}


def test_keda_may_take_over_from_the_charts_own_autoscaler(dev: Objects) -> None:
    for autoscaler in dev.kind("HorizontalPodAutoscaler").values():
        assert autoscaler["metadata"]["annotations"] == {"validations.keda.sh/hpa-ownership": "false"}

"""What a service's entry comes to: its objects, its image."""

from typing import Any

import pytest

from tests.charts.chart import Chart, merge, nested
from tests.charts.conftest import environment


def test_a_fourth_service_is_a_few_lines(chart: Chart) -> None:
    worker = {"calls": ["items"], "uses": ["state"]}

    rendered = chart.render(environment("dev"), {"services": {"worker": worker}})

    names = {o["kind"] for o in rendered if o["metadata"]["name"] == "slipway-worker"}
    assert names == {"Deployment", "Service", "ServiceAccount", "HorizontalPodAutoscaler", "PodDisruptionBudget",
                     "NetworkPolicy"}  # fmt: skip


def test_a_service_set_to_null_is_gone(chart: Chart) -> None:
    rendered = chart.render(environment("dev"), {"services": {"items": None, "gateway": {"calls": ["auth"]}}})

    assert [o["metadata"]["name"] for o in rendered if "items" in o["metadata"]["name"]] == []
    assert {name.rpartition("-")[0] for name in rendered.kind("Job")} == {
        "slipway-roles",
        "slipway-auth-migrate",
        "slipway-auth-docs",
    }


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "slipway/items:0.1.0"),
        ({"global.image.registry": "r.example:5000/team/"}, "r.example:5000/team/slipway/items:0.1.0"),
        ({"global.image.tag": "9"}, "slipway/items:9"),
        ({"global.image.tag": "9", "global.image.tags": {"items": "8"}}, "slipway/items:8"),
        ({"global.image.tag": "9", "services.items.image.tag": "7"}, "slipway/items:7"),
        ({"services.items.image.repository": "own/items"}, "own/items:0.1.0"),
        ({"services.items.image.digest": "sha256:" + "a" * 64}, "slipway/items:0.1.0@sha256:" + "a" * 64),
    ],
)
def test_an_image_is_named_by_registry_repository_tag_and_digest(
    chart: Chart, image: dict[str, object], reference: str
) -> None:
    values: dict[str, Any] = {}
    for path, value in image.items():
        merge(values, nested(path, value))

    rendered = chart.render(environment("dev"), values)

    for kind, name in (("Deployment", "slipway-items"), ("Job", "slipway-items-migrate-")):
        assert rendered.starting(kind, name)["spec"]["template"]["spec"]["containers"][0]["image"] == reference


def test_reload_puts_the_code_where_the_pod_may_write(chart: Chart) -> None:
    rendered = chart.render(environment("dev"), "services.items.reload=true")
    spec = rendered.one("Deployment", "slipway-items")["spec"]["template"]["spec"]
    (copy,), (serve,) = spec["initContainers"], spec["containers"]

    assert serve["args"] == ["serve", "--reload"]
    assert {"name": "code", "mountPath": "/app/services"} in serve["volumeMounts"]
    assert copy["image"] == serve["image"]
    assert copy["command"] == ["cp", "-R", "/app/services/.", copy["volumeMounts"][0]["mountPath"]]

"""What every rendered pod keeps to: its needs, its probes, its place."""

import pytest
import yaml

from tests.charts.chart import EVERYTHING, SELECTOR, Chart, Manifest, Objects, containers, variables
from tests.charts.conftest import environment


def test_every_container_says_what_it_needs(rendered: Objects) -> None:
    for owner, pod in rendered.pods():
        for container in containers(pod):
            resources = container["resources"]
            assert resources["requests"].keys() >= {"cpu", "memory"}, owner
            assert "memory" in resources["limits"], owner


def test_no_variable_is_set_twice(rendered: Objects) -> None:
    for owner, pod in rendered.pods():
        for container in containers(pod):
            names = [v["name"] for v in container.get("env", [])]
            assert sorted(set(names)) == sorted(names), owner


def test_pods_carry_no_version_of_the_chart(rendered: Objects) -> None:
    for owner, pod in rendered.pods():
        if not owner.startswith("Pod/"):  # the pods of `helm test` are made anew each time
            assert sorted(pod["metadata"]["labels"]) == SELECTOR, owner


def test_every_pod_goes_where_the_values_say(chart: Chart) -> None:
    keys = ("nodeSelector", "tolerations", "affinity", "priorityClassName")
    values = yaml.safe_load(EVERYTHING.read_text())

    for owner, pod in chart.render(EVERYTHING).pods():
        of_service = owner.startswith(("Deployment/", "Pod/"))
        said = values["defaults"] if of_service else values["placement"]
        assert {key: pod["spec"].get(key) for key in keys} == {key: said[key] for key in keys}, owner


def test_a_service_that_says_nothing_goes_where_all_go(chart: Chart) -> None:
    for owner, pod in chart.render(environment("dev"), "placement.nodeSelector.disk=slow").pods():
        assert pod["spec"]["nodeSelector"] == {"disk": "slow"}, owner
        assert "affinity" not in pod["spec"], owner


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ({"tokens": "verify", "paths": ["/v1/work", "/v2/work"]}, ["/v1/work"]),
        ({"tokens": "verify", "paths": []}, None),
        ({"tokens": "none", "paths": ["/v1/work"]}, None),
    ],
)
def test_helm_test_asks_for_a_token_only_where_a_path_is_known(
    chart: Chart, service: Manifest, path: list[str] | None
) -> None:
    rendered = chart.render(environment("dev"), {"services": {"worker": service}})

    assert rendered.one("Pod", "slipway-worker-test")["spec"]["containers"][0].get("args") == path


def test_pods_end_after_drain_and_shutdown(rendered: Objects) -> None:
    for deployment in rendered.kind("Deployment").values():
        spec = deployment["spec"]["template"]["spec"]
        env = variables(spec["containers"][0])
        stopping = int(env["DRAIN_SECONDS"] or "") + int(env["SHUTDOWN_SECONDS"] or "")
        assert spec["terminationGracePeriodSeconds"] > stopping


def test_liveness_asks_livez_and_readiness_readyz(rendered: Objects) -> None:
    for deployment in rendered.kind("Deployment").values():
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        probes = {key: container[key]["httpGet"] for key in ("livenessProbe", "readinessProbe", "startupProbe")}
        assert probes["livenessProbe"] == {"path": "/livez", "port": "management"}
        assert probes["readinessProbe"] == {"path": "/readyz", "port": "management"}
        assert probes["startupProbe"] == {"path": "/livez", "port": "management"}

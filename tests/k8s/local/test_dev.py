"""Skaffold is called for the right cluster, and skaffold.yaml knows every service and all it is made of."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.local import cluster as clusters
from k8s.local import dev, images, paths
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.node import images as buildah
from k8s.node import paths as node_paths
from k8s.node import tools
from tests.k8s.local.conftest import Programs


@pytest.fixture
def skaffold_yaml() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((paths.ROOT / "skaffold.yaml").read_text())
    return loaded


def node_profile(config: dict[str, Any]) -> dict[str, Any]:
    profile: dict[str, Any] = next(each for each in config["profiles"] if each["name"] == "node")
    return profile


def test_on_the_node_helm_is_version_3_and_buildah_builds(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del programs
    monkeypatch.setattr(tools, "path", lambda name, *_: tmp_path / name)
    node = Cluster("node", "", registry="172.31.255.2:5000", kubeconfig="/node.conf")

    command, environment = dev.skaffold(node, "dev", print)

    assert command[:2] == [str(tmp_path / "skaffold"), "dev"]
    assert {"--profile=node", "--kubeconfig=/node.conf", "--default-repo=172.31.255.2:5000"} <= set(command)
    first = Path(environment["PATH"].split(":")[0])
    assert (first / "helm").readlink() == tmp_path / "helm3"


def test_on_kind_docker_builds_and_the_context_is_named(programs: Programs) -> None:
    programs.add("docker", "kind", "skaffold")

    command, _ = dev.skaffold(clusters.kind(""), "dev", print)

    assert "--profile=node" not in command
    assert "--kube-context=kind-slipway" in command
    assert f"--kubeconfig={paths.kind_kubeconfig()}" in command


def test_the_release_outlives_skaffold(programs: Programs) -> None:
    programs.add("docker", "kind", "skaffold")

    command, _ = dev.skaffold(clusters.kind(""), "dev", print)

    assert "--cleanup=false" in command


def test_skaffold_gets_the_development_image_under_the_name_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, ...]] = []
    monkeypatch.setattr(images, "build", lambda service, ref, target: done.append((service, ref, target)))
    monkeypatch.setattr(images, "push", lambda ref: done.append(("push", ref)))

    dev.build_artifact("items", {"IMAGE": "r:5000/items:1", "PUSH_IMAGE": "true"})
    dev.build_artifact("items", {"IMAGE": "items:2", "PUSH_IMAGE": "false"})

    assert done == [("items", "r:5000/items:1", "dev"), ("push", "r:5000/items:1"), ("items", "items:2", "dev")]


def test_the_artifact_command_by_hand_says_who_calls_it() -> None:
    with pytest.raises(LocalError, match="called by Skaffold"):
        dev.build_artifact("items", {})


def test_every_service_is_an_artifact_in_both_ways_of_building(skaffold_yaml: dict[str, Any]) -> None:
    for build in (skaffold_yaml["build"], node_profile(skaffold_yaml)["build"]):
        assert sorted(artifact["image"] for artifact in build["artifacts"]) == images.services()


def test_every_artifact_is_what_the_release_runs(skaffold_yaml: dict[str, Any]) -> None:
    (release,) = skaffold_yaml["deploy"]["helm"]["releases"]
    kind = next(each for each in skaffold_yaml["profiles"] if each["name"] == "kind")

    for name in images.services():
        for key, word in (("repository", "REPO"), ("tag", "TAG"), ("digest", "DIGEST")):
            said = release["setValueTemplates"][f"services.{name}.image.{key}"]
            assert said == f"{{{{.IMAGE_{word}_{name}}}}}"
        removed = f"/deploy/helm/releases/0/setValueTemplates/services.{name}.image.digest"
        assert {"op": "remove", "path": removed} in kind["patches"]


def test_skaffold_rebuilds_for_exactly_what_goes_into_an_image(skaffold_yaml: dict[str, Any]) -> None:
    for artifact in node_profile(skaffold_yaml)["build"]["artifacts"]:
        listed = [paths.ROOT / path for path in artifact["custom"]["dependencies"]["paths"]]
        assert all(path.exists() for path in listed)
        for file in images.inputs(artifact["image"]):
            assert any(file == path or path in file.parents for path in listed), file


def test_an_edit_of_common_and_of_the_service_is_synced(skaffold_yaml: dict[str, Any]) -> None:
    for artifact in skaffold_yaml["build"]["artifacts"]:
        rules = {(rule["src"], rule["dest"]) for rule in artifact["sync"]["manual"]}
        assert rules == {("services/common/**/*.py", "/app"), (f"services/{artifact['image']}/**/*.py", "/app")}


def test_the_node_profile_trusts_exactly_the_nodes_registry(skaffold_yaml: dict[str, Any]) -> None:
    assert node_profile(skaffold_yaml)["build"]["insecureRegistries"] == [node_paths.REGISTRY]


def test_the_dockerfile_starts_from_the_base_that_the_node_stands_in_for() -> None:
    first = next(line for line in paths.DOCKERFILE.read_text().splitlines() if line.startswith("ARG PYTHON_IMAGE="))

    assert first == f"ARG PYTHON_IMAGE={buildah.PYTHON}"

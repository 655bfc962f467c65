"""Manifests of what runs inside the cluster."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.node import addons, paths
from k8s.node.archives import Archive
from k8s.node.errors import NodeError

NAMES = ("coredns", "metrics-server", "local-path-provisioner", "traefik", "pause")
IMAGES = {name: Archive(Path("x.tar"), f"node.local/{name}:hash") for name in NAMES} | {
    "redis": Archive(Path("x.tar"), "docker.io/library/redis:7")
}


def documents() -> list[dict[str, Any]]:
    texts = [addons.render(file, IMAGES) for file in sorted(paths.MANIFESTS.glob("*.yaml"))]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def test_every_placeholder_is_filled() -> None:
    for file in paths.MANIFESTS.glob("*.yaml"):
        assert "${" not in addons.render(file, IMAGES), file.name


def test_the_shell_variables_of_scripts_survive_rendering() -> None:
    (config,) = [found for found in documents() if found["metadata"]["name"] == "local-path-config"]

    assert 'rm -rf "$VOL_DIR"' in config["data"]["teardown"]
    assert str(paths.state() / "volumes") in config["data"]["config.json"]


def test_a_new_program_means_a_new_image_name() -> None:
    images = [
        container["image"]
        for found in documents()
        if found["kind"] == "Deployment"
        for container in found["spec"]["template"]["spec"]["containers"]
    ]

    assert sorted(images) == sorted(f"node.local/{name}:hash" for name in NAMES if name != "pause")


def test_a_placeholder_or_an_image_that_nobody_fills_is_refused(tmp_path: Path) -> None:
    for text in ("a: ${TYPO}", "image: node.local/typo:1"):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(NodeError, match=re.compile("bad.yaml asks for 'typo', which nobody fills", re.IGNORECASE)):
            addons.render(tmp_path / "bad.yaml", IMAGES)


def test_everything_namespaced_is_in_a_namespace_that_is_waited_for() -> None:
    spaces = {found["metadata"]["namespace"] for found in documents() if "namespace" in found["metadata"]}

    assert spaces == set(addons.NAMESPACES)


def test_no_add_on_runs_as_root_or_on_the_nodes_network() -> None:
    for found in documents():
        if found["kind"] == "Deployment":
            pod = found["spec"]["template"]["spec"]
            assert "hostNetwork" not in pod
            assert all(container["securityContext"]["runAsNonRoot"] for container in pod["containers"])


def pod(identity: str, state: str = "running") -> dict[str, Any]:
    status = {"containerID": f"containerd://{identity}", "state": {state: {}}}
    return {"metadata": {"namespace": "a", "name": identity}, "status": {"containerStatuses": [status]}}


def test_a_pod_that_only_the_store_remembers_is_stale() -> None:
    assert addons.stale([pod("here"), pod("gone")], {"here"}) == ["a/gone"]


def test_pods_that_wait_or_ended_are_not_stale() -> None:
    waiting: dict[str, Any] = {"metadata": {"namespace": "a", "name": "new"}, "status": {}}

    assert addons.stale([pod("done", "terminated"), waiting], set()) == []

"""kind and Docker: command lines and files, with programs that only write down how they were called.

Nothing here ran against a real engine: there is none on the project's machines.
"""

import re
from pathlib import Path

import pytest
import yaml

from k8s.local import cluster as clusters
from k8s.local import edge, images, kind, paths
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.node import paths as node_paths
from tests.k8s.local.conftest import Programs


@pytest.fixture
def cluster() -> Cluster:
    return clusters.kind("a Docker engine answers")


@pytest.fixture
def docker(programs: Programs) -> Programs:
    programs.add("docker", "kind", "kubectl", "helm")
    return programs


def made() -> None:
    """As if `up` had created the cluster before."""
    paths.kind_kubeconfig().parent.mkdir(parents=True, exist_ok=True)
    paths.kind_kubeconfig().write_text("apiVersion: v1\n")


def test_a_missing_cluster_is_created_with_a_kubeconfig_of_its_own(docker: Programs, cluster: Cluster) -> None:
    docker.answer("docker inspect", code=1)

    kind.up(cluster)

    created = next(call for call in docker.calls if call[:3] == ["kind", "create", "cluster"])
    assert f"--kubeconfig={paths.kind_kubeconfig()}" in created
    assert f"--config={paths.ROOT}/k8s/kind.yaml" in created


def test_a_running_cluster_is_not_created_again(docker: Programs, cluster: Cluster) -> None:
    docker.answer("docker inspect", "true")
    made()

    kind.up(cluster)

    assert not [call for call in docker.calls if call[:2] == ["kind", "create"]]


def test_every_kubectl_call_names_kinds_own_cluster(docker: Programs, cluster: Cluster) -> None:
    docker.answer("docker inspect", "true")
    made()

    kind.up(cluster)

    calls = [call for call in docker.calls if call[0] == "kubectl"]
    assert calls
    assert all(call[1:3] == [f"--kubeconfig={paths.kind_kubeconfig()}", "--context=kind-slipway"] for call in calls)


def test_an_image_is_built_by_docker_and_loaded_into_kind(docker: Programs, cluster: Cluster) -> None:
    images.build("items", "slipway/items:abc")
    images.deliver(cluster, "slipway/items:abc")

    build = next(call for call in docker.calls if call[:2] == ["docker", "build"])
    assert {"--target=production", "--tag=slipway/items:abc", "--build-arg=SERVICE=items"} <= set(build)
    assert build[-1] == str(paths.ROOT)
    assert docker.calls[-1] == ["kind", "load", "docker-image", "slipway/items:abc", "--name", "slipway"]


def test_an_own_package_index_reaches_the_build_and_no_file(docker: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example.com/simple")

    images.build("items", "slipway/items:abc")

    build = next(call for call in docker.calls if call[:2] == ["docker", "build"])
    assert "--build-arg=PIP_INDEX_URL" in build
    assert "packages.example.com" not in str(docker.calls), "every user of the machine reads that in `ps`"


def test_an_image_that_kind_has_is_not_built(docker: Programs, cluster: Cluster) -> None:
    assert images.present(cluster, "slipway/items:abc")

    docker.answer("docker exec", code=1)

    assert not images.present(cluster, "slipway/items:abc")


def test_down_deletes_the_cluster_that_up_made(docker: Programs) -> None:
    made()

    kind.down()

    assert docker.calls == [["kind", "delete", "cluster", "--name=slipway"]]
    assert not paths.kind_kubeconfig().exists()


def test_down_deletes_what_a_killed_up_began(docker: Programs, cluster: Cluster) -> None:
    clusters.remember(cluster)

    kind.down()

    assert docker.calls == [["kind", "delete", "cluster", "--name=slipway"]]


def test_a_cluster_of_the_same_name_that_up_did_not_make_is_left_alone(docker: Programs) -> None:
    docker.answer("docker inspect", "true")

    with pytest.raises(LocalError, match="a kind cluster called slipway which `make up` did not make"):
        kind.refuse_foreign()
    kind.down()

    assert not [call for call in docker.calls if call[0] == "kind"]


def test_kept_data_stays_in_a_stopped_container_that_up_starts_again(docker: Programs, cluster: Cluster) -> None:
    made()
    docker.answer("docker inspect", "true")
    kind.down(keep_data=True)
    docker.answer("docker inspect", "false")
    kind.up(cluster)

    assert ["docker", "stop", "slipway-control-plane"] in docker.calls
    assert ["docker", "start", "slipway-control-plane"] in docker.calls
    assert not [call for call in docker.calls if call[0] == "kind"]


def test_what_a_killed_creation_left_is_made_anew(docker: Programs, cluster: Cluster) -> None:
    clusters.remember(cluster)
    docker.answer("docker inspect", "true")

    kind.up(cluster)

    assert [call[1] for call in docker.calls if call[0] == "kind"] == ["delete", "create"]


def test_upstreams_parts_are_applied_once_and_not_at_every_up(docker: Programs, cluster: Cluster) -> None:
    made()
    docker.answer("docker inspect", "true")
    kind.up(cluster)
    applied = [call for call in docker.calls if "https://" in str(call) or "patch" in call]
    (mark,) = [call[-1] for call in docker.calls if "annotate" in call]
    kubectl = f"kubectl --kubeconfig={paths.kind_kubeconfig()} --context=kind-slipway"
    docker.answer(f"{kubectl} -n kube-system get deployment metrics-server", mark.partition("=")[2])

    kind.up(cluster)

    assert len(applied) == 3
    assert [call for call in docker.calls if "https://" in str(call) or "patch" in call] == applied


def test_the_nodes_registry_is_never_dockers_to_push_to(docker: Programs) -> None:
    del docker

    assert images.with_docker("slipway/items:abc")
    assert images.with_docker("registry.example.com/team/slipway/items:abc")
    assert not images.with_docker(f"{node_paths.REGISTRY}/slipway/items:abc")


def test_a_new_base_is_a_new_image(docker: Programs) -> None:
    docker.answer("docker image inspect", "sha256:1")
    before = images.base("registry.example.com")
    docker.answer("docker image inspect", "sha256:2")

    assert (before, images.base("registry.example.com")) == ("sha256:1", "sha256:2")
    assert images.tag("items", base="sha256:1") != images.tag("items", base="sha256:2")


def test_the_kubernetes_of_kind_is_pinned_by_digest_to_a_minor_that_the_chart_supports() -> None:
    image = yaml.safe_load((paths.ROOT / "k8s" / "kind.yaml").read_text())["nodes"][0]["image"]
    supported = yaml.safe_load((paths.CHART / "Chart.yaml").read_text())["kubeVersion"]

    minor = re.fullmatch(r"kindest/node:v1\.(\d+)\.\d+@sha256:[0-9a-f]{64}", image)
    assert minor
    assert int(minor[1]) >= int(re.findall(r">=\s*1\.(\d+)", supported)[0])


def test_without_docker_there_is_nothing_to_delete(programs: Programs) -> None:
    kind.down()

    assert programs.calls == []


def test_the_ports_of_the_public_origin_are_mapped_to_loopback_only() -> None:
    node = yaml.safe_load((paths.ROOT / "k8s" / "kind.yaml").read_text())["nodes"][0]

    mappings = {each["containerPort"]: (each["listenAddress"], each["hostPort"]) for each in node["extraPortMappings"]}
    assert mappings == {443: ("127.0.0.1", paths.HTTPS_PORT), 80: ("127.0.0.1", paths.HTTP_PORT)}


def test_the_edge_is_the_nodes_with_an_image_that_can_be_pulled() -> None:
    objects = list(yaml.safe_load_all(kind.edge_manifest()))

    deployment = next(each for each in objects if each["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == kind.EDGE_IMAGE
    assert {port.get("hostPort") for port in container["ports"]} >= {80, 443}
    assert "${" not in kind.edge_manifest()
    assert "IngressClass" in {each["kind"] for each in objects}


def test_no_forwarder_runs_where_kind_maps_the_ports(docker: Programs, cluster: Cluster, tmp_path: Path) -> None:
    del docker
    edge.open_way(cluster, print)

    assert not (tmp_path / "state" / "forwarder.json").exists()

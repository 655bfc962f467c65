"""Which cluster is chosen, and that a command line always names it."""

from pathlib import Path

import pytest

from k8s.local import cluster as clusters
from k8s.local import docker
from k8s.local.cluster import Cluster, choose
from k8s.local.errors import LocalError
from tests.k8s.local.conftest import Programs


def test_kind_where_a_docker_engine_answers(programs: Programs) -> None:
    programs.add("docker", "kind")

    chosen = choose()

    assert (chosen.provider, chosen.why) == ("kind", "a Docker engine answers")


def test_the_node_where_no_docker_engine_answers(programs: Programs) -> None:
    programs.add("docker", "kind")
    programs.answer("docker info", code=1)

    chosen = choose()

    assert (chosen.provider, chosen.why) == ("node", "no Docker engine answers")


def test_the_node_where_docker_answers_but_kind_is_missing(programs: Programs) -> None:
    programs.add("docker")

    chosen = choose()

    assert (chosen.provider, chosen.why) == ("node", "a Docker engine answers but kind is not on PATH")


def test_the_cluster_of_the_last_up_goes_before_a_new_choice(programs: Programs) -> None:
    clusters.remember(Cluster("node", "no Docker engine answers", registry="r:5000"))
    programs.add("docker", "kind")  # Docker was started since

    chosen = choose()

    assert (chosen.provider, chosen.registry) == ("node", "r:5000")


def test_after_down_the_choice_is_made_anew(programs: Programs) -> None:
    clusters.remember(Cluster("node", ""))
    clusters.forget()
    programs.add("docker", "kind")

    assert choose().provider == "kind"


def test_a_named_context_wins_and_its_command_lines_name_it(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("kubectl", "helm")
    programs.answer("kubectl config get-contexts", "team\nother")
    monkeypatch.setenv("KUBE_CONTEXT", "team")
    monkeypatch.setenv("REGISTRY", "registry.example.com/team")

    chosen = choose()

    assert chosen.kubectl("get", "pods")[1:] == ["--context=team", "get", "pods"]
    assert chosen.helm("status", "x")[1:] == ["--kube-context=team", "status", "x"]


def test_a_named_context_is_not_kept_for_the_next_command() -> None:
    clusters.remember(Cluster("context", "", context="team"))

    assert clusters.remembered() is None


def test_a_context_that_is_not_there_is_refused_with_those_that_are(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("kubectl")
    programs.answer("kubectl config get-contexts", "team\nother")
    monkeypatch.setenv("KUBE_CONTEXT", "typo")
    monkeypatch.setenv("REGISTRY", "registry.example.com")

    with pytest.raises(LocalError, match="KUBE_CONTEXT=typo is not in your kubeconfig; it has team, other"):
        choose()


def test_a_context_without_a_registry_is_refused(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.add("kubectl")
    programs.answer("kubectl config get-contexts", "team")
    monkeypatch.setenv("KUBE_CONTEXT", "team")

    with pytest.raises(LocalError, match="KUBE_CONTEXT=team needs REGISTRY="):
        choose()


def test_somebodys_cluster_gets_development_values_and_a_warning(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs.add("kubectl")
    programs.answer("kubectl config get-contexts", "team")
    monkeypatch.setenv("KUBE_CONTEXT", "team")
    monkeypatch.setenv("REGISTRY", "registry.example.com/team")

    choose()

    assert "team gets development values: people may sign up" in capsys.readouterr().err


def test_an_engine_that_does_not_answer_in_time_does_not_answer(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("docker", "kind")
    (programs.bin / "docker").write_text("#!/bin/sh\nexec sleep 20\n")
    monkeypatch.setattr(docker, "ANSWER_SECONDS", 0.2)

    assert choose().provider == "node"


def test_the_clusters_of_this_machine_never_use_the_users_kubeconfig(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("docker", "kind", "kubectl", "helm")
    users = tmp_path / "users.conf"
    users.write_text("apiVersion: v1\n")
    monkeypatch.setenv("KUBECONFIG", str(users))

    chosen = choose()

    expected = f"--kubeconfig={tmp_path / 'state' / 'kind.conf'}"
    assert chosen.kubectl("get", "pods")[1:3] == [expected, "--context=kind-slipway"]
    assert chosen.helm("status", "x")[1:3] == [expected, "--kube-context=kind-slipway"]


def test_a_damaged_record_of_the_last_up_counts_as_none(programs: Programs, tmp_path: Path) -> None:
    programs.add("docker", "kind")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "cluster.json").write_text("{")

    assert choose().provider == "kind"

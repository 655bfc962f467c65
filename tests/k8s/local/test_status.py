"""`make status` tells what is not in order, and by its exit code that something is not."""

import json

import pytest

from k8s.local import __main__ as command_line
from k8s.local import cluster as clusters
from k8s.local import edge, paths
from tests.k8s.local.conftest import Programs


@pytest.fixture
def kind(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A cluster on which all is well."""
    clusters.remember(clusters.kind(""))
    programs.add("kubectl", "helm")
    programs.answer(f"{names('kubectl')} -n slipway get pods,", "pod/items-1 1/1 Running")
    programs.answer(f"{names('kubectl')} -n slipway get pods -o", json.dumps({"items": []}))
    programs.answer(f"{names('helm')} status", json.dumps({"info": {"status": "deployed"}}))
    monkeypatch.setattr(edge, "ask", lambda path: edge.PROBES[path])
    monkeypatch.setattr("sys.argv", ["k8s.local", "status"])
    return programs


def names(program: str) -> str:
    option = {"kubectl": "--context", "helm": "--kube-context"}[program]
    return f"{program} --kubeconfig={paths.kind_kubeconfig()} {option}=kind-slipway"


@pytest.mark.usefixtures("kind")
def test_status_of_a_healthy_cluster_is_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main() == 0
    assert "pod/items-1" in capsys.readouterr().out


def test_a_pod_that_is_not_ready_is_told_and_is_code_1(kind: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    pod = {"metadata": {"name": "items-2"}, "status": {"phase": "Pending"}}
    kind.answer(f"{names('kubectl')} -n slipway get pods -o", json.dumps({"items": [pod]}))

    assert command_line.main() == 1
    assert "make status: Not healthy: items-2: Pending." in capsys.readouterr().err


def test_a_release_that_failed_is_told(kind: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    kind.answer(f"{names('helm')} status", json.dumps({"info": {"status": "failed"}}))

    assert command_line.main() == 1
    assert "the release is failed" in capsys.readouterr().err


@pytest.mark.usefixtures("kind")
def test_an_edge_that_answers_otherwise_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(edge, "ask", lambda _: "503")

    assert command_line.main() == 1
    assert "/v1/items answers 503" in capsys.readouterr().err


def test_without_a_cluster_status_is_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["k8s.local", "status"])

    assert command_line.main() == 1
    assert "No cluster is up" in capsys.readouterr().err

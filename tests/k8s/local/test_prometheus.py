"""The way to the release's Prometheus: through a forward that ends with the command."""

import sys

import pytest

from k8s.local import __main__ as command_line
from k8s.local import cluster as clusters
from k8s.local import paths
from tests.k8s.local.conftest import Programs


@pytest.fixture
def kind(programs: Programs) -> Programs:
    """A cluster with a Prometheus that kubectl forwards to."""
    clusters.remember(clusters.kind(""))
    programs.add("kubectl")
    programs.answer(f"{kubectl()} get service", "service/slipway-prometheus")
    programs.answer(f"{kubectl()} port-forward", "Forwarding from 127.0.0.1:40123 -> 9090")
    return programs


def kubectl() -> str:
    """The beginning of every command line; the folder is the test's own."""
    return f"kubectl --kubeconfig={paths.kind_kubeconfig()} --context=kind-slipway -n slipway"


def asking(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of `python -m k8s.local prometheus words…`."""
    monkeypatch.setattr("sys.argv", ["k8s.local", "prometheus", *words])
    return command_line.main()


@pytest.mark.usefixtures("kind")
def test_a_command_is_told_where_prometheus_is(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code = asking(monkeypatch, sys.executable, "-c", "import os, sys; print(os.environ['PROMETHEUS']); sys.exit(3)")

    assert code == 3
    assert capfd.readouterr().out == "http://127.0.0.1:40123\n"


def test_a_release_without_one_is_told_what_brings_it(
    kind: Programs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind.answer(f"{kubectl()} get service", "")

    assert asking(monkeypatch, "true") == 1
    assert "observability.bundled is on in k8s/environments/dev.yaml" in capsys.readouterr().err


def test_a_forward_that_fails_is_told_in_kubectls_words(
    kind: Programs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind.answer(f"{kubectl()} port-forward", "error: unable to listen on port 9090", code=1)

    assert asking(monkeypatch, "true") == 1
    assert "unable to listen on port 9090" in capsys.readouterr().err

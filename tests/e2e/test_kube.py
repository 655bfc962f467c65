"""Which clusters these tests refuse: needs no cluster."""

import pytest

from k8s.local import cluster as clusters
from k8s.local import paths
from k8s.local.cluster import Cluster
from tests.e2e.kube import NODES, ClusterRefusedError, check_own, connect


@pytest.mark.parametrize("provider", ["node", "kind"])
def test_a_cluster_that_the_project_made_is_taken(provider: str) -> None:
    check_own(Cluster(provider, "a test"), NODES[provider])


@pytest.mark.parametrize(
    ("provider", "nodes"),
    [
        ("context", ["slipway"]),
        ("node", ["production-1"]),
        ("node", ["slipway", "production-1"]),
        ("kind", ["kind-control-plane"]),
        ("kind", []),
    ],
)
def test_a_cluster_that_somebody_else_made_is_refused(provider: str, nodes: list[str]) -> None:
    with pytest.raises(ClusterRefusedError, match="left alone"):
        check_own(Cluster(provider, "a test"), nodes)


def test_a_context_of_the_user_is_refused_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_CONTEXT", "production")

    with pytest.raises(ClusterRefusedError, match="KUBE_CONTEXT=production"):
        connect()


def test_without_make_up_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBE_CONTEXT", raising=False)
    monkeypatch.setattr(clusters, "remembered", lambda: None)

    with pytest.raises(ClusterRefusedError, match="make up"):
        connect()


def test_the_tests_never_install_into_the_namespace_of_make_up() -> None:
    """Own namespaces have a prefix that it has not."""
    assert not paths.NAMESPACE.startswith("e2e-")

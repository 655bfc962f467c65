"""Every test of the node has folders of its own; the real node is never touched."""

from pathlib import Path

import pytest

from k8s.node import leftovers, network, paths, processes, tools
from k8s.node.cgroups import Cgroups


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_NODE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(processes, "CGROUPS", Cgroups(tmp_path / "no-cgroups"))
    # a test that goes wrong must not take the network of a node that runs here
    monkeypatch.setattr(network, "remove", lambda: pytest.fail("a test removes the real node's network"))
    monkeypatch.setattr(leftovers, "remove_outside", lambda: pytest.fail("a test removes the real node's files"))
    for cached in (tools.go, tools.go_version, tools.folder):
        cached.cache_clear()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    assert paths.state() == tmp_path / "state"
    return tmp_path / "state"

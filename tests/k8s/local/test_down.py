"""What `make down` ends and deletes, and what it leaves alone; the node and kind are stand-ins."""

from pathlib import Path

import pytest

from k8s.local import certificates, kind, paths
from k8s.local import cluster as clusters
from k8s.local.cluster import Cluster
from k8s.local.down import MADE, down
from k8s.local.errors import LocalError
from k8s.node import cluster as node
from k8s.node import files, leftovers
from k8s.node.errors import NodeError
from tests.k8s.local.conftest import Programs


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked to end."""
    said: list[str] = []
    monkeypatch.setattr(kind, "down", lambda *, keep_data: said.append(f"kind {keep_data}"))
    monkeypatch.setattr(node, "down", lambda *, keep_data, **_: said.append(f"node {keep_data}"))
    monkeypatch.setattr(leftovers, "find", lambda: ["process 1"])
    return said


def make_state() -> Path:
    files.claim(paths.state(), paths.STATE_VARIABLE)
    for name in (*MADE, "of-the-user"):
        (paths.state() / name).write_text("")
    (paths.state() / f"{certificates.DRAFT}x").mkdir()
    return paths.state()


@pytest.mark.usefixtures("ended")
def test_a_folder_of_the_users_that_slipway_state_names_is_left_as_it_is() -> None:
    (paths.state() / "photos").mkdir(parents=True)
    (paths.state() / "ca.key").write_text("theirs")

    down(keep_data=False, progress=print)

    assert sorted(entry.name for entry in paths.state().iterdir()) == ["ca.key", "photos"]


@pytest.mark.usefixtures("ended")
def test_down_deletes_what_up_made_and_nothing_beside_it() -> None:
    state = make_state()

    down(keep_data=False, progress=print)

    assert {entry.name for entry in state.iterdir()} == {"of-the-user", files.MARK}


@pytest.mark.usefixtures("ended")
def test_an_empty_state_folder_goes() -> None:
    state = make_state()
    (state / "of-the-user").unlink()

    down(keep_data=False, progress=print)

    assert not state.exists()


@pytest.mark.usefixtures("ended")
def test_kept_data_keeps_the_authority() -> None:
    state = make_state()

    down(keep_data=True, progress=print)

    assert {"ca.crt", "ca.key", "kind.conf"} <= {entry.name for entry in state.iterdir()}


def test_what_cannot_be_deleted_is_an_error(ended: list[str]) -> None:
    state = make_state()
    (state / "ca.key").unlink()
    (state / "ca.key").mkdir()

    with pytest.raises(OSError, match=r"ca\.key"):
        down(keep_data=False, progress=print)

    assert ended


def test_a_failure_of_kinds_end_does_not_keep_the_node_up(ended: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*, keep_data: bool) -> None:
        raise NodeError(f"kind delete failed {keep_data}")

    monkeypatch.setattr(kind, "down", fail)

    with pytest.raises(LocalError, match="kind delete failed"):
        down(keep_data=False, progress=print)

    assert ended == ["node False"]


@pytest.mark.parametrize("provider", ["kind", "node"])
def test_only_the_cluster_that_is_remembered_ends(ended: list[str], provider: str) -> None:
    clusters.remember(Cluster(provider, ""))

    down(keep_data=True, progress=print)

    assert ended == [f"{provider} True"]


def test_on_somebodys_cluster_data_cannot_be_kept_and_that_is_said(
    programs: Programs, ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("kubectl", "helm")
    monkeypatch.setenv("KUBE_CONTEXT", "team")

    with pytest.raises(LocalError, match="DATA=keep works on kind and on the node"):
        down(keep_data=True, progress=print)

    assert programs.calls == []
    assert ended == []


def test_without_a_cluster_there_is_nothing_that_needs_root(ended: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "find", list)

    down(keep_data=False, progress=print)

    assert ended == ["kind False"]

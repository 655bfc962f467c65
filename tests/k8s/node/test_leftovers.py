"""What the node leaves outside its folders is told apart from what others have there."""

import socket
from pathlib import Path

from k8s.node import leftovers


def test_only_links_to_this_nodes_logs_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "ours.log").symlink_to("/state/node/pod-logs/x/0.log")
    (tmp_path / "theirs.log").symlink_to("/var/log/pods/x/0.log")
    (tmp_path / "similar.log").symlink_to("/state/node-of-others/0.log")
    (tmp_path / "plain.log").write_text("")

    assert leftovers.container_logs(tmp_path, Path("/state/node")) == [tmp_path / "ours.log"]


def test_loopback_results_are_known_by_their_containers(tmp_path: Path) -> None:
    for name in ("slipway-abc-eth0", "cni-loopback-abc-lo", "cni-loopback-of-others-lo", "bridge-xyz-eth0"):
        (tmp_path / name).write_text("{}")

    found = {file.name for file in leftovers.cni_results(tmp_path)}

    assert found == {"slipway-abc-eth0", "cni-loopback-abc-lo"}


def test_a_socket_that_answers_belongs_to_somebody(tmp_path: Path) -> None:
    file = tmp_path / "kubelet.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(file))
        server.listen()
        assert not leftovers._is_dead_socket(file)
    assert leftovers._is_dead_socket(file)
    assert not leftovers._is_dead_socket(tmp_path / "absent")

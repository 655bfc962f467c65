"""Refusals before anything is touched, and what `down` deletes."""

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from k8s.node import cluster, network, packages, paths
from k8s.node.errors import NodeError
from k8s.node.progress import silent


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize("command", [cluster.up, cluster.down])
def test_without_root_one_sentence_and_nothing_touched(
    command: object, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert callable(command)

    with pytest.raises(NodeError, match=r"root is needed .* run it as root or with sudo"):
        command()

    assert not state.exists()


def test_a_disk_nearly_full_is_refused_before_anything_starts(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(50_000_000_000, 49_000_000_000, 1_000_000_000))

    with pytest.raises(NodeError, match=r"1\.0 GB free and 4\.0 GB are needed: free some space"):
        cluster.up()

    assert list(state.iterdir()) == []


def test_on_a_large_disk_more_must_be_free_than_the_kubelets_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1_000_000_000_000, 0, 22_000_000_000))

    with pytest.raises(NodeError, match=r"25\.0 GB are needed"):
        cluster._check_disk()


def make_state(state: Path) -> None:
    for name in cluster.MADE:
        (state / name).mkdir(parents=True)
        (state / name / "content").write_text("")
    (state / "of-the-user").write_text("")


def test_down_deletes_what_up_made_and_nothing_else(state: Path) -> None:
    make_state(state)

    cluster._delete_state(keep_data=False)

    assert [entry.name for entry in state.iterdir()] == ["of-the-user"]


def test_down_with_kept_data_leaves_store_keys_volumes_and_pushed_images(state: Path) -> None:
    make_state(state)

    cluster._delete_state(keep_data=True)

    assert {entry.name for entry in state.iterdir()} == {"etcd", "pki", "volumes", "registry", "of-the-user"}


def test_an_empty_state_folder_goes_with_the_node(state: Path) -> None:
    state.mkdir()

    cluster._delete_state(keep_data=False)

    assert not state.exists()


def test_a_link_is_deleted_and_not_what_it_points_to(state: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    state.mkdir()
    (state / "volumes").symlink_to(tmp_path / "data")

    cluster._delete_state(keep_data=False)

    assert (tmp_path / "data").exists()


def test_what_is_true_until_the_next_boot_is_forgotten_after_it(
    state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    boot = tmp_path / "boot_id"
    monkeypatch.setattr(cluster, "BOOT_ID", boot)
    boot.write_text("first\n")
    cluster._forget_last_boot()
    (state / "run" / "kubelet.stamp").write_text("{}")
    cluster._forget_last_boot()
    assert (state / "run" / "kubelet.stamp").exists()

    boot.write_text("second\n")
    cluster._forget_last_boot()

    assert [file.name for file in (state / "run").iterdir()] == ["boot-id"]


def test_an_address_of_the_node_on_another_interface_is_taken() -> None:
    links: list[dict[str, Any]] = [
        {"ifname": "docker0", "addr_info": [{"local": "172.31.255.2", "prefixlen": 16}]},
        {"ifname": "slipway-h", "addr_info": [{"local": "172.31.255.1", "prefixlen": 30}]},
        {"ifname": "eth0", "addr_info": [{"local": "172.31.0.9", "prefixlen": 16}]},
        {"ifname": "down0"},
    ]

    assert network.taken(links) == ["172.31.255.2 on docker0"]


def test_missing_packages_are_found_by_program_and_by_file(tmp_path: Path) -> None:
    (tmp_path / "seccomp.h").write_text("")
    wanted: dict[str, packages.Proof] = {
        "dash": "sh", "nothing": "no-such-program", "headers": tmp_path / "seccomp.h", "more": tmp_path / "absent.h",
    }  # fmt: skip

    assert packages.missing(wanted) == ["nothing", "more"]


def test_missing_packages_without_root_name_the_command_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name, **_: "/usr/bin/apt-get" if name == "apt-get" else None)

    with pytest.raises(
        NodeError, match="needed and not installed: ipset; run this as root, or `apt-get install ipset`"
    ):
        packages.ensure(silent, {"ipset": "ipset"})


def test_missing_packages_without_apt_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    with pytest.raises(NodeError, match="there is no apt-get: install them by hand"):
        packages.ensure(silent, {"ipset": "ipset"})


def test_folders_follow_the_xdg_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SLIPWAY_NODE_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/invalid")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    assert paths.state() == tmp_path / "s/slipway/node"
    assert paths.cache() == tmp_path / "home/.cache/slipway/node"

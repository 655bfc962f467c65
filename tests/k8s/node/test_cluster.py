"""Refusals before anything is touched, and what `down` deletes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from k8s.node import (
    addons,
    archives,
    builds,
    cluster,
    disk,
    files,
    network,
    packages,
    paths,
    pki,
    processes,
    tools,
)
from k8s.node.errors import NodeError
from k8s.node.progress import silent

ROOT = Path(__file__).resolve().parents[3]


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
    (paths.cache() / "bin/node-before").mkdir(parents=True)

    with pytest.raises(NodeError, match=r"1\.0 GB free and about 4\.0 GB are needed: free some space"):
        cluster.up()

    assert not state.exists()


def test_where_nothing_was_built_gos_own_folders_count_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "go_folders", lambda: [Path("/go/built"), Path("/go/modules")])
    cold = cluster.needs()
    (paths.cache() / "bin/node-before").mkdir(parents=True)

    assert set(cold) == {Path("/go/built"), Path("/go/modules"), paths.cache(), paths.state()}
    assert sum(cluster.needs().values()) < sum(cold.values()) / 2


def test_on_a_large_disk_more_must_be_free_than_the_kubelets_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1_000_000_000_000, 0, 22_000_000_000))

    with pytest.raises(NodeError, match=r"25\.0 GB are needed"):
        disk.check(dict.fromkeys([paths.state(), paths.cache()], 1.0))


def test_each_file_system_needs_what_its_folders_need_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(50_000_000_000, 0, 5_000_000_000))
    one, two = tmp_path / "one", tmp_path / "two"

    disk.check({one: 2, two: 2})
    with pytest.raises(NodeError, match=r"of .*/one, .*/two has 5\.0 GB free and about 6\.0 GB are needed"):
        disk.check({one: 3, two: 3})


def test_what_can_fail_for_this_machine_comes_before_the_long_build(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for module, name in (
        (tools, "check_go"), (disk, "check"), (packages, "ensure"), (network, "check_kernel"), (network, "prepare"),
        (network, "check_filters"), (archives, "fetch"), (tools, "build"), (pki, "prepare"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda *_, word=f"{module.__name__}.{name}", **__: done.append(word))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(processes, "CGROUPS", SimpleNamespace(processes=lambda _=None: set(), prepare=lambda: None))
    monkeypatch.setattr(cluster, "needs", dict)
    monkeypatch.setattr(archives, "ensure", lambda _: {})
    monkeypatch.setattr(cluster, "_start", lambda *_: None)
    monkeypatch.setattr(addons, "wait_available", lambda _: None)

    cluster.up()

    assert [word.removeprefix("k8s.node.") for word in done] == [
        "tools.check_go", "disk.check", "packages.ensure", "network.check_kernel", "network.prepare",
        "network.check_filters", "archives.fetch", "tools.build", "pki.prepare",
    ]  # fmt: skip


def test_down_waits_for_nobody_and_ends_nobodys_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    code = "import sys; from k8s.node import builds\nwith builds.at_work(): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == b"held\n"

        with builds.at_work():  # another build may go on beside it
            pass
        with pytest.raises(NodeError, match=r"process \d+ builds or runs an image or a program: wait"):
            cluster.down()
        builder.kill()


def make_state(state: Path) -> None:
    files.claim(state, paths.STATE_VARIABLE)
    for name in cluster.MADE:
        (state / name).mkdir(parents=True)
        (state / name / "content").write_text("")
    (state / "of-the-user").write_text("")


def test_down_deletes_what_up_made_and_nothing_else(state: Path) -> None:
    make_state(state)

    cluster._delete_state(keep_data=False)

    assert {entry.name for entry in state.iterdir()} == {"of-the-user", files.MARK}


def test_down_deletes_nothing_in_a_folder_that_up_did_not_make(state: Path) -> None:
    """SLIPWAY_NODE_STATE=/var, say, whose `log` and `run` are everybody's."""
    (state / "log").mkdir(parents=True)
    said: list[str] = []

    cluster._delete_state(keep_data=False, progress=said.append)

    assert (state / "log").exists()
    assert said == [f"{state} is left as it is: it has no mark that `up` made it"]


def test_down_with_kept_data_leaves_store_keys_volumes_and_pushed_images(state: Path) -> None:
    make_state(state)

    cluster._delete_state(keep_data=True)

    assert {entry.name for entry in state.iterdir()} == {
        "etcd", "pki", "volumes", "registry", "of-the-user", files.MARK,
    }  # fmt: skip


def test_an_empty_state_folder_goes_with_the_node(state: Path) -> None:
    files.claim(state, paths.STATE_VARIABLE)

    cluster._delete_state(keep_data=False)

    assert not state.exists()


def test_a_link_is_deleted_and_not_what_it_points_to(state: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    files.claim(state, paths.STATE_VARIABLE)
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


@pytest.mark.parametrize(("pid", "command"), [(None, "ip netns add slipway"), (7, "ip netns attach slipway 7")])
def test_a_network_that_lost_its_name_gets_it_back_while_parts_live_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: int | None, command: str
) -> None:
    done: list[str] = []
    monkeypatch.setattr(network, "NAMESPACE", tmp_path / "absent")
    monkeypatch.setattr(network, "inhabitant", lambda: pid)
    monkeypatch.setattr(network, "run", lambda words, **_: done.append(" ".join(words)))

    network._namespace()

    assert done == [command]


def test_missing_packages_are_found_by_program_and_by_file(tmp_path: Path) -> None:
    (tmp_path / "seccomp.h").write_text("")
    wanted: dict[str, packages.Proof] = {
        "dash": "sh", "nothing": "no-such-program", "headers": tmp_path / "seccomp.h", "more": tmp_path / "absent.h",
    }  # fmt: skip

    assert packages.missing(wanted) == ["nothing", "more"]


def test_what_the_tests_need_is_missing_without_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name == "chromium" else f"/usr/bin/{name}")
    monkeypatch.setattr(Path, "exists", lambda _: True)

    assert packages.missing(packages.FOR_TESTS) == ["chromium"]


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

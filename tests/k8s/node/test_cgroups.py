"""Control groups of version 1 and 2, on made-up trees."""

import os
from pathlib import Path

import pytest

from k8s.node.cgroups import Cgroups
from k8s.node.errors import NodeError


@pytest.fixture
def version_1(tmp_path: Path) -> Cgroups:
    """Separate hierarchies, cpu and cpuacct as one with two names, and an empty v2 tree beside them."""
    root = tmp_path / "v1"
    for name in ("cpu,cpuacct", "memory", "pids", "cpuset", "systemd", "unified"):
        (root / name).mkdir(parents=True)
        (root / name / "cgroup.procs").write_text("1\n")
    for name in ("cpu", "cpuacct"):
        (root / name).symlink_to("cpu,cpuacct")
    (root / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (root / "cpuset" / "cpuset.mems").write_text("0\n")
    (root / "cpuset" / "slipway").mkdir()  # the kernel makes the files with the folder
    for name in ("cpuset.cpus", "cpuset.mems"):
        (root / "cpuset" / "slipway" / name).write_text("\n")
    return Cgroups(root)


@pytest.fixture
def version_2(tmp_path: Path) -> Cgroups:
    root = tmp_path / "v2"
    (root / "slipway").mkdir(parents=True)
    for folder in (root, root / "slipway"):  # the kernel makes these files
        (folder / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids rdma\n")
        (folder / "cgroup.subtree_control").write_text("")
        (folder / "cgroup.procs").write_text("")
    return Cgroups(root)


def test_an_empty_version_2_tree_beside_version_1_is_version_1(version_1: Cgroups) -> None:
    assert not version_1.is_unified


def test_version_1_has_one_hierarchy_for_two_names_of_one_folder(version_1: Cgroups) -> None:
    names = [folder.name for folder in version_1.hierarchies()]

    assert names == ["cpu,cpuacct", "cpuset", "memory", "pids", "systemd"]


def test_version_1_gets_a_folder_in_every_hierarchy(version_1: Cgroups) -> None:
    version_1.prepare()

    assert all((folder / "slipway").is_dir() for folder in version_1.hierarchies())
    assert not (version_1.root / "unified" / "slipway").exists()


def test_a_new_cpuset_of_version_1_takes_the_processors_of_its_parent(version_1: Cgroups) -> None:
    version_1.prepare()

    assert (version_1.root / "cpuset/slipway/cpuset.cpus").read_text() == "0-1\n"
    assert (version_1.root / "cpuset/slipway/cpuset.mems").read_text() == "0\n"


def test_a_cpuset_that_was_narrowed_stays_narrow(version_1: Cgroups) -> None:
    (version_1.root / "cpuset/slipway/cpuset.cpus").write_text("1\n")

    version_1.prepare()

    assert (version_1.root / "cpuset/slipway/cpuset.cpus").read_text() == "1\n"


def test_version_1_tracks_processes_by_the_pids_hierarchy(version_1: Cgroups) -> None:
    assert version_1.tracking == version_1.root / "pids" / "slipway"


def test_version_2_is_one_hierarchy(version_2: Cgroups) -> None:
    assert version_2.is_unified
    assert version_2.hierarchies() == [version_2.root]
    assert version_2.tracking == version_2.root / "slipway"


def test_version_2_delegates_the_controllers_that_exist_to_both_levels(version_2: Cgroups) -> None:
    version_2.prepare()

    wanted = {"+cpu", "+memory", "+pids", "+cpuset", "+io", "+hugetlb"}
    for folder in (version_2.root, version_2.root / "slipway"):
        assert set((folder / "cgroup.subtree_control").read_text().split()) == wanted


def test_version_2_keeps_processes_out_of_the_folder_that_delegates(version_2: Cgroups) -> None:
    version_2.prepare()

    assert (version_2.root / "slipway" / "parts").is_dir()
    assert (version_2.root / "slipway" / "cgroup.procs").read_text() == ""


@pytest.mark.parametrize(("processors", "weights"), [(2, [8192, 800]), (64, [262_144, 10_000])])
def test_all_pods_together_weigh_by_the_processors_of_the_machine(
    version_1: Cgroups, version_2: Cgroups, monkeypatch: pytest.MonkeyPatch, processors: int, weights: list[int]
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    (version_1.root / "cpu/slipway").mkdir()
    files = [version_1.root / "cpu/slipway/cpu.shares", version_2.root / "slipway/cpu.weight"]
    for file, default in zip(files, ("1024", "100"), strict=True):
        file.write_text(default)  # one program's weight: the kernel makes the file with the folder

    version_1.prepare()
    version_2.prepare()

    assert [int(file.read_text()) for file in files] == weights


def test_a_version_2_root_that_holds_processes_is_refused_with_the_reason(version_2: Cgroups) -> None:
    (version_2.root / "cgroup.subtree_control").unlink()
    (version_2.root / "cgroup.subtree_control").mkdir()  # any error of the kernel's, here EISDIR for EBUSY

    with pytest.raises(NodeError, match=r"refuses to delegate .* the folder holds processes"):
        version_2.prepare()


def test_a_missing_controller_is_named(version_2: Cgroups) -> None:
    (version_2.root / "cgroup.controllers").write_text("cpu pids\n")

    with pytest.raises(NodeError, match=r"cgroup controller missing in .*: memory;"):
        version_2.check()


def test_no_cgroups_at_all_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="does not exist: mount the kernel's cgroups there"):
        Cgroups(tmp_path / "nowhere").check()


def test_processes_are_found_at_every_depth(version_2: Cgroups) -> None:
    pod = version_2.root / "slipway/kubepods/burstable/pod1/container"
    part = version_2.root / "slipway/parts/etcd"
    for folder, text in ((pod, "12\n13\n"), (part, "7\n")):
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text(text)

    assert version_2.processes() == {7, 12, 13}
    assert version_2.processes("etcd") == {7}
    assert version_2.processes("kubelet") == set()


def test_left_over_folders_are_found_in_version_1_and_in_the_tree_beside_it(version_1: Cgroups) -> None:
    (version_1.root / "unified" / "slipway").mkdir()

    found = {folder.relative_to(version_1.root).as_posix() for folder in version_1.left_over()}

    assert found == {"cpuset/slipway", "unified/slipway"}


def test_removal_goes_from_the_innermost_folder_outwards(version_1: Cgroups) -> None:
    (version_1.root / "memory/slipway/kubepods/pod1").mkdir(parents=True)
    (version_1.root / "unified/slipway/kubepods").mkdir(parents=True)

    stuck = version_1.remove()

    assert not (version_1.root / "memory/slipway").exists()
    assert not (version_1.root / "unified/slipway").exists()
    assert [line.split(":")[0] for line in stuck] == [f"{version_1.root}/cpuset/slipway"]  # has files here

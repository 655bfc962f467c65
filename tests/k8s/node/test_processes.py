"""Finding, starting, waiting for and ending the node's own programs."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s.node import files, paths, processes
from k8s.node.cgroups import Cgroups
from k8s.node.errors import NodeError

SLEEP = shutil.which("sleep") or "sleep"


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([SLEEP, "60"]) as process:
        yield process
        process.kill()


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The made-up control group of etcd: whoever is written into its file is in it."""
    cgroups = Cgroups(tmp_path / "cgroup")
    folder = cgroups.root / "pids/slipway/parts/etcd"
    folder.mkdir(parents=True)
    monkeypatch.setattr(processes, "CGROUPS", cgroups)
    return folder / "cgroup.procs"


def program_of(process: "subprocess.Popen[bytes]") -> str:
    return Path(f"/proc/{process.pid}/exe").readlink().name


def test_a_process_that_ended_and_was_not_collected_is_not_alive(sleeper: "subprocess.Popen[bytes]") -> None:
    assert processes.alive(sleeper.pid)

    sleeper.kill()
    deadline = time.monotonic() + 60
    while processes.alive(sleeper.pid) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert Path(f"/proc/{sleeper.pid}").exists(), "collected: nothing was seen"
    assert not processes.alive(sleeper.pid)


def test_a_part_is_found_by_its_group_and_program(sleeper: "subprocess.Popen[bytes]", group: Path) -> None:
    group.write_text(f"{sleeper.pid}\n")

    assert processes.mains("etcd", program_of(sleeper)) == [sleeper.pid]
    assert processes.mains("etcd", "containerd") == []  # a shim in containerd's group is not containerd
    assert processes.mains("kubelet", program_of(sleeper)) == []


def test_a_part_without_a_stamp_does_not_count_as_running(sleeper: "subprocess.Popen[bytes]", group: Path) -> None:
    group.write_text(f"{sleeper.pid}\n")

    assert processes.running("etcd") is None


def test_a_part_that_runs_from_the_same_inputs_is_left_alone(
    sleeper: "subprocess.Popen[bytes]", group: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group.write_text(f"{sleeper.pid}\n")
    config = tmp_path / "config"
    config.write_text("1")
    program = Path(f"/proc/{sleeper.pid}/exe").readlink()
    stamp = {"program": str(program), "hash": files.digest([str(program), "60", config])}
    files.write(processes._stamp_file("etcd"), stamp)

    processes.start("etcd", [program, "60"], inputs=[config])
    assert processes.running("etcd") == sleeper.pid

    config.write_text("2")
    monkeypatch.setattr(processes, "inside", lambda: ["sh", "-c", "exit 0"])  # what would start the new one
    processes.start("etcd", [program, "60"], inputs=[config])
    assert not processes.alive(sleeper.pid)


def test_a_process_that_ignores_being_asked_is_killed() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()

        processes.end([stubborn.pid], seconds=0.2)

        assert not processes.alive(stubborn.pid)


def test_a_missed_deadline_tells_the_complaint_and_the_log(
    sleeper: "subprocess.Popen[bytes]", group: Path, state: Path
) -> None:
    group.write_text(f"{sleeper.pid}\n")
    files.write(processes._stamp_file("etcd"), {"program": f"/x/{program_of(sleeper)}", "hash": ""})
    (state / "log").mkdir(parents=True)
    (state / "log/etcd.log").write_text("the last thing it said\n")

    with pytest.raises(NodeError, match=r"etcd answers: not after 0 s: nobody listens; read .*/log/etcd.log") as caught:
        processes.wait("etcd answers", lambda: "nobody listens", part="etcd", seconds=0.3)

    assert "the last thing it said" in caught.value.details


@pytest.mark.usefixtures("group")
def test_the_death_of_a_part_ends_the_wait_at_once() -> None:
    begin = time.monotonic()

    with pytest.raises(NodeError, match="etcd answers: etcd exited; read "):
        processes.wait("etcd answers", lambda: "nobody listens", part="etcd", seconds=300)

    assert time.monotonic() - begin < 60


def test_a_probe_that_raises_is_a_complaint() -> None:
    def probe() -> str:
        raise ValueError("not JSON")

    with pytest.raises(NodeError, match="not after 0 s: not JSON"):
        processes.wait("it answers", probe, seconds=0)


def test_stamps_are_forgotten_with_the_boot() -> None:
    assert processes._stamp_file("etcd").parent == paths.run()


def test_a_node_of_another_state_folder_is_told_apart(group: Path, tmp_path: Path, state: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    state.mkdir()
    seen = []
    for folder in (state, other):
        with subprocess.Popen([SLEEP, "60"], cwd=folder) as process:
            group.write_text(f"{process.pid}\n")
            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.setattr(processes, "SIGNATURES", {"etcd": program_of(process)})
                seen.append(processes.foreign_state())
            process.kill()

    assert seen == [None, other]

"""`python -m k8s.node`: arguments, exit codes and sentences."""

import errno

import pytest

from k8s.node import __main__ as command_line
from k8s.node import cluster, leftovers
from k8s.node.errors import NodeError, sentence


@pytest.mark.parametrize("words", [[], ["upp"], ["up", "--fast"], ["down", "--keep"], ["tool"], ["status", "x"]])
def test_wrong_arguments_end_with_code_2_and_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line.main(words)

    assert caught.value.code == 2
    assert "usage: python -m k8s.node" in capsys.readouterr().err


def test_an_unknown_tool_is_a_sentence_and_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["tool", "kubectx"]) == 1
    assert capsys.readouterr().err.startswith("error: no tool is called 'kubectx'; there are ")


def test_kubectl_without_a_node_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["kubectl", "get", "pods", "--help"]) == 1
    assert capsys.readouterr().err == "error: there is no node: bring it up first\n"


def test_details_come_before_the_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: object) -> None:
        raise NodeError("etcd exited; read etcd.log", details="panic: x\n")

    monkeypatch.setattr(cluster, "up", fail)

    assert command_line.main(["up"]) == 1
    assert capsys.readouterr().err == "panic: x\nerror: etcd exited; read etcd.log\n"


def test_a_full_disk_while_writing_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/state/x")

    monkeypatch.setattr(cluster, "up", fail)

    assert command_line.main(["up"]) == 1
    error = "error: the disk is full (writing /state/x): free some space and run the same command again\n"
    assert capsys.readouterr().err == error


def test_a_forbidden_write_asks_for_root() -> None:
    assert (
        sentence(PermissionError(errno.EACCES, "Permission denied", "/x")) == "not allowed (writing /x): run it as root"
    )


def test_status_of_nothing_is_code_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "find", list)

    assert command_line.main(["status"]) == 1
    assert capsys.readouterr().out.count("not running") == len(cluster.PARTS)

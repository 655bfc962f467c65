"""What is refused before minutes are spent."""

import os
import socket

import pytest

from k8s.local import __main__ as command_line
from k8s.local import preflight
from k8s.local.errors import LocalError
from k8s.local.lock import exclusive
from k8s.node.errors import NodeError


def test_a_taken_port_is_refused_with_who_has_it() -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]

        with pytest.raises(LocalError, match=rf"Port {port} of 127.0.0.1 is taken by .*\(pid {os.getpid()}\)"):
            preflight.check_port(port)

    preflight.check_port(port)


def test_a_second_command_is_refused_with_the_name_of_the_first() -> None:
    with (
        exclusive("up"),
        pytest.raises(NodeError, match=rf"`make up` \(pid {os.getpid()}\) is at work"),
        exclusive("down"),
    ):
        pass

    with exclusive("down"):
        pass


@pytest.mark.parametrize("words", [["up"], ["down"], ["dev"], ["push", "--registry", "r.example.com", "--tag", "1"]])
def test_every_command_that_changes_or_builds_something_waits_for_its_turn(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["k8s.local", *words])

    with exclusive("up"):
        assert command_line.main() == 1

    assert f"make {words[0]}: `make up` (pid {os.getpid()}) is at work on this cluster" in capsys.readouterr().err

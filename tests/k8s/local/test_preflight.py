"""What is refused before minutes are spent."""

import os
import socket
from pathlib import Path

import pytest

from k8s.local import preflight
from k8s.local.errors import LocalError
from k8s.local.lock import exclusive


def test_a_taken_port_is_refused_with_who_has_it() -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]

        with pytest.raises(LocalError, match=rf"Port {port} of 127.0.0.1 is taken by .*\(pid {os.getpid()}\)"):
            preflight.check_port(port)

    preflight.check_port(port)


def test_too_little_disk_is_refused_with_both_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "COLD_GIB", 10**6)

    with pytest.raises(LocalError, match=r"has [0-9.]+ GiB free and this needs about 1000000 GiB"):
        preflight.check_disk(tmp_path / "not" / "there" / "yet", cold=True)


def test_enough_disk_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "WARM_GIB", 0)

    preflight.check_disk(tmp_path, cold=False)


def test_a_second_command_is_refused_with_the_name_of_the_first() -> None:
    with (
        exclusive("up"),
        pytest.raises(LocalError, match=rf"`make up` \(pid {os.getpid()}\) is at work"),
        exclusive("down"),
    ):
        pass

    with exclusive("down"):
        pass

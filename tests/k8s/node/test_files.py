"""Files written whole or not at all, hashes of inputs, and locks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from k8s.node import files
from k8s.node.errors import NodeError


def test_an_unchanged_file_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "proxy.yaml"
    files.write(file, {"mode": "nftables"})
    os.utime(file, (1, 1))

    files.write(file, {"mode": "nftables"})

    assert file.stat().st_mtime == 1


def test_a_changed_file_is_replaced_and_no_draft_stays(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file"
    files.write(file, "old")
    files.write(file, "new", 0o600)

    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_secret_is_never_readable_by_others_not_even_as_a_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    monkeypatch.setattr(Path, "chmod", lambda file, _mode: modes.append(file.stat().st_mode & 0o777))

    files.write(tmp_path / "admin.conf", "key", 0o600)

    assert modes == [0o600], "made with another mode than its own"


def test_the_mode_of_an_unchanged_file_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "admin.conf"
    files.write(file, "key", 0o644)

    files.write(file, "key", 0o600)

    assert file.stat().st_mode & 0o777 == 0o600


def test_a_state_folder_with_files_of_the_users_is_refused_and_an_empty_one_is_made_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "deep" / "ours"
    theirs.mkdir()
    (theirs / "letters").write_text("")
    monkeypatch.setenv("STATE", str(theirs))

    with pytest.raises(NodeError, match=r"STATE=.* holds files that are not Slipway's"):
        files.claim(theirs, "STATE")
    files.claim(ours, "STATE")
    (ours / "log").mkdir()
    files.claim(ours, "STATE")  # with what we put there

    assert [entry.name for entry in theirs.iterdir()] == ["letters"]
    assert ours.stat().st_mode & 0o777 == 0o700
    assert files.is_claimed(ours, "STATE")
    assert not files.is_claimed(theirs, "STATE")


def test_a_hash_tells_apart_parts_that_would_read_the_same_in_a_row() -> None:
    assert files.digest(["ab", "c"]) != files.digest(["a", "bc"])
    assert files.digest(["ab", "c"]) == files.digest([b"ab", "c"])


def test_a_hash_reads_files_and_not_their_names(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("same")
    (tmp_path / "two").write_text("same")

    assert files.digest([tmp_path / "one"]) == files.digest([tmp_path / "two"])


def test_a_lock_that_another_process_holds_is_a_sentence_with_its_id(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from k8s.node import files\n"
        "with files.lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with (
            pytest.raises(NodeError, match=rf"already busy \(process {holder.pid}\)"),
            files.lock(tmp_path / "lock", "already busy ({holder})"),
        ):
            pass

        holder.kill()
    with files.lock(tmp_path / "lock", "already busy"):  # a killed process holds nothing
        pass

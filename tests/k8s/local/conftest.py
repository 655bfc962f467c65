"""Folders of their own, and programs on PATH that write down how they were called."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from k8s.local import docker

FAKE = """#!{python}
import json, os, sys
with open({calls!r}, "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
answers = json.load(open({answers!r}))
line = " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
for start, (code, text) in answers.items():
    if line.startswith(start):
        print(text)
        sys.exit(code)
"""


class Programs:
    """Stand-ins for programs that are not here (docker, kind): they record their arguments."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self._calls, self._answers = folder / "calls", folder / "answers"
        self._answers.write_text("{}")

    def add(self, *names: str) -> None:
        """Put programs on PATH that succeed and say nothing."""
        script = FAKE.format(python=sys.executable, calls=str(self._calls), answers=str(self._answers))
        for name in names:
            (self.bin / name).write_text(script)
            (self.bin / name).chmod(0o755)

    def answer(self, start: str, text: str = "", *, code: int = 0) -> None:
        """What a command line that begins so prints and exits with."""
        answers = json.loads(self._answers.read_text())
        answers.pop(start, None)  # the newest answer counts, and stands first
        self._answers.write_text(json.dumps({start: [code, text], **answers}))

    @property
    def calls(self) -> list[list[str]]:
        """Every command line so far."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State and cache in the test's own folder; no variable of the developer's reaches the code."""
    for name in (
        *("KUBE_CONTEXT", "REGISTRY", "EDGE", "KUBECONFIG"),
        *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("SLIPWAY_NODE_STATE", str(tmp_path / "node-state"))
    docker.answers.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """An own folder in front of PATH, and behind it only the system's."""
    made = Programs(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return made


@pytest.fixture
def lines() -> tuple[list[str], Callable[[str], None]]:
    """A list, and a progress that writes into it."""
    said: list[str] = []
    return said, said.append

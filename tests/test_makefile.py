"""Every command of the Makefile that is the project's own is one that exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = sorted(set(re.findall(r"-m (k8s\.\w+) ([a-z-]+)", (ROOT / "Makefile").read_text())))


def test_there_are_commands() -> None:
    assert ("k8s.local", "up") in COMMANDS


@pytest.mark.parametrize(("module", "command"), COMMANDS)
def test_a_command_of_the_makefile_exists(module: str, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr

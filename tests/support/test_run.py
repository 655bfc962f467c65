"""`make run`: what it prints works as printed, an edit is not needed to trust it, and nothing outlives it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest

from tests.support.processes import ROOT
from tests.support.running import END_SECONDS, READY, Run


@pytest.fixture
def run(tmp_path: Path) -> Generator[Run]:
    started = Run(tmp_path / "log")
    yield started
    started.end()


def test_the_printed_lines_create_and_list_an_item_and_nothing_outlives_it(run: Run) -> None:
    said = run.wait_for(READY)
    assert httpx2.get(f"http://127.0.0.1:{run.port}/", timeout=60).status_code == 200
    lines = said[said.index("  TOKEN=") :]
    done = subprocess.run(["bash", "-euc", lines], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"name":"lamp"') == 2

    run.popen.send_signal(signal.SIGINT)
    assert run.popen.wait(END_SECONDS) == 0
    assert not left_over(said)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{run.port}/")


def left_over(said: str) -> list[str]:
    """Command lines that still mention a port of this run."""
    ports = set(re.findall(r"(?:localhost|127\.0\.0\.1):(\d+)", said))
    mentioned = re.compile(rf"\b({'|'.join(ports)})\b")
    commands = map(command_line, Path("/proc").glob("[0-9]*/cmdline"))
    return [command for command in commands if mentioned.search(command) and "pytest" not in command]


def command_line(file: Path) -> str:
    """What a process was started with; nothing where it has ended meanwhile: others come and go beside this test."""
    try:
        return file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.run"],
            cwd=ROOT,
            env={**os.environ, "RUN_PORT": str(somebody.getsockname()[1])},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert done.returncode == 1
    assert re.fullmatch(r"make run: port \d+, which gateway needs, is taken; .*\n", done.stderr)

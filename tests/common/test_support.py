"""The servers that the tests start are gone when the tests are, and no shell's variable reaches a test."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest


def test_no_variable_of_the_shell_is_a_setting() -> None:
    settings = ("DATABASE_URL", "CACHE_URL", "PORT", "LOG_LEVEL", "OTEL_", "ISSUER", "AUDIENCE", "JWKS_URL")

    assert [name for name in os.environ if name.startswith(settings)] == []


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="needs servers of its own")
def test_a_suite_that_is_killed_leaves_no_server() -> None:
    code = (
        "import os, sys, tempfile, time\n"
        "from tests.support.servers import postgres_server, redis_server\n"
        "with postgres_server() as p, redis_server() as r:\n"
        "    print(p.process.pid, r.process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as suite:
        assert suite.stdout is not None
        pids = suite.stdout.readline().split()
        suite.kill()
    deadline = time.monotonic() + 20
    while left := [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists()]:
        assert time.monotonic() < deadline, f"{left} still run"
        time.sleep(0.05)

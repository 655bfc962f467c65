"""The servers that the tests start are gone when the tests are, and no shell's variable reaches a test."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from tests.support.processes import ROOT
from tests.support.waits import until


def test_no_variable_of_the_shell_is_a_setting() -> None:
    settings = ("DATABASE_URL", "CACHE_URL", "PORT", "LOG_LEVEL", "OTEL_", "ISSUER", "AUDIENCE", "JWKS_URL")

    assert [name for name in os.environ if name.startswith(settings)] == []


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="needs servers of its own")
async def test_a_suite_that_is_killed_leaves_no_server() -> None:
    """Not one that is asked something at that moment, nor one that a test has paused."""
    code = (
        "import time\n"
        "from tests.support.servers import postgres_server, redis_server\n"
        "with postgres_server() as p, redis_server() as r:\n"
        "    r.pause()\n"
        "    print(p.process.pid, r.process.pid, p.url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as suite:  # noqa: ASYNC220 - it returns at once
        assert suite.stdout is not None
        *pids, url = (await asyncio.to_thread(suite.stdout.readline)).split()
        client = await asyncpg.connect(url)
        try:
            suite.kill()
            await until(lambda: not any(map(runs, pids)), f"the end of {pids}")
        finally:
            client.terminate()


def runs(pid: str) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists()

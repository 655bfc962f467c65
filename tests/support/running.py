"""`make run`, started by a test on ports of its own, and what it prints."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.servers import free_port

START_SECONDS = 180
END_SECONDS = 60  # ten for each service, one after the other, before what is left is killed; then the servers
READY = "Ctrl-C ends everything"


class Run:
    """`make run` in a process group of its own."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.port = free_port(beside=(1, 2, 1000, 1001, 1002))
        self.origin = f"http://127.0.0.1:{self.port}"
        with log.open("wb") as out:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "tests.support.run"],
                cwd=ROOT,
                env={**os.environ, "RUN_PORT": str(self.port)},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait_for(self, text: str) -> str:
        """The output, once the text is in it. Raises TimeoutError with its end when it does not come."""
        deadline = time.monotonic() + START_SECONDS
        while text not in self.log.read_text():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} did not come; the output ends:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)
        return self.log.read_text()

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        self.popen.terminate()
        try:
            self.popen.wait(END_SECONDS)
        finally:
            self.popen.kill()

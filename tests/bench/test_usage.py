"""What processes use is counted as the kernel does, and whose a port is is known."""

import os
import socket
import subprocess
import sys
import time

from tests.bench.usage import listening, running_seconds


def test_what_a_process_has_run_is_what_it_says_of_itself() -> None:
    begin, ran = time.process_time(), running_seconds([os.getpid()])
    while time.process_time() < begin + 0.2:
        pass
    used, ran = time.process_time() - begin, running_seconds([os.getpid()]) - ran

    assert abs(ran - used) < 0.05  # of the processor's time: other threads of the tests are in both


def test_a_process_that_has_ended_has_run_nothing_more() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(30)

    assert running_seconds([ended.pid]) == 0


def test_a_port_belongs_to_who_listens_on_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        try:
            assert listening([child.pid, os.getpid()], port)
            assert not listening([child.pid], port)
        finally:
            child.communicate(timeout=30)
    assert not listening([os.getpid()], port)

"""What is measured is what was started: a port that is taken, and a program that ends, are told and tried again."""

import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.bench import servers
from tests.bench.questions import InvalidRunError, Measure, Question
from tests.bench.runner import Runner
from tests.support.servers import free_port

SERVE = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]


@contextmanager
def taken() -> Generator[int]:
    """A port that somebody else listens on."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def serving(_: Path, port: int) -> list[str]:
    return [*SERVE, str(port)]


def test_a_taken_port_is_told_and_another_one_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def side(_: object) -> Generator[Measure]:
        with servers.process(serving) as running:
            yield lambda _: {"requests_per_s": float(running.port), "others_cores": 0.0}

    with taken() as port:
        ports = [port]
        monkeypatch.setattr(servers, "free_port", lambda: ports.pop() if ports else free_port())
        runner = Runner(lambda _: None, partial=tmp_path / "partial.json", quiet=lambda _: None)
        (answer,) = runner.run([Question("one", "Which?", {"a": side}, rounds=1)]).values()

    assert answer.rejected == [f"a: port {port} was free a moment ago, and now somebody listens there"]
    assert (len(answer.rounds), answer.failed) == (1, "")


def test_a_program_whose_port_is_taken_while_it_starts_is_not_mistaken_for_the_other() -> None:
    other = socket.socket()

    def late(_: Path, __: int) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(0.5); raise SystemExit('address in use')"]

    def is_up(port: int) -> bool:
        if not servers.listens(port):
            other.bind(("127.0.0.1", port))
            other.listen()
        return servers.listens(port)

    told = pytest.raises(InvalidRunError, match="ended with code 1; its log ends: address in use")
    with other, told, servers.process(late, is_up=is_up):
        pass


def test_a_program_that_ends_is_told_with_the_end_of_its_log() -> None:
    def command(_: Path, __: int) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('no such file')"]

    told = pytest.raises(InvalidRunError, match="ended with code 1; its log ends: no such file")
    with told, servers.process(command):
        pass

"""The command line: what ends it, with which exit code and which words."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from services.common.trace_context import SAMPLERS
from tests.support.processes import ROOT, Process, service_process

SAMPLE = "tests.common.sample"


def ended(command: str = "serve", **env: str) -> tuple[int, str]:
    with service_process(SAMPLE, env, arguments=(command,), wait_ready=False) as process:
        return process.wait(), process.log


def test_wrong_settings_end_it_with_a_sentence_each() -> None:
    code, log = ended(MAX_BODY_BYTES="many", LOG_LEVEL="LOUD", DRAIN_SECONDS="-1")

    assert code == 2
    assert [line.split()[0] for line in sorted(log.splitlines())] == ["DRAIN_SECONDS", "LOG_LEVEL", "MAX_BODY_BYTES"]


@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "often", f"one of {', '.join(SAMPLERS)}"),
        ("OTEL_TRACES_SAMPLER_ARG", "1%", "a share such as 0.01"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "otlp or none"),
    ],
)
def test_traces_that_cannot_be_sent_so_are_refused(variable: str, value: str, right: str) -> None:
    code, log = ended(**{variable: value, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"})

    assert (code, log) == (2, f"{variable}={value} is not offered; {right} would be right.\n")


def test_a_start_that_fails_is_a_failure() -> None:
    code, log = ended(FAIL_AT="start")

    assert code == 3
    assert "the store cannot be opened" in log


def test_a_garbage_collection_leaves_alone_what_was_there_at_the_start() -> None:
    with service_process(SAMPLE, {}) as process:
        found = httpx2.get(f"{process.url}/v1/sample/collected", timeout=30).json()

    assert found["left_alone"] > 50_000
    assert found["looked_through"] < found["left_alone"] / 10


def test_an_end_that_fails_is_a_failure() -> None:
    with service_process(SAMPLE, {"FAIL_AT": "end"}) as process:
        process.terminate()

        assert process.wait() == 1
        assert "the store cannot be closed" in process.log


@pytest.mark.parametrize("variable", ["PORT", "MANAGEMENT_PORT"])
def test_a_port_that_is_taken_is_named(variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, log = ended(**{variable: port})

    assert code == 3
    assert f"{variable}={port} cannot be listened on at 127.0.0.1: Address already in use." in log
    assert "Traceback" not in log


def test_unknown_commands_are_refused_with_those_that_exist() -> None:
    code, log = ended("sevre")

    assert code == 2
    assert "serve" in log
    assert "migrate" in log


def test_every_line_of_a_life_is_json() -> None:
    with service_process(SAMPLE, {}) as process:
        httpx2.get(f"{process.url}/v1/sample/ping", timeout=30)
        httpx2.get(f"{process.url}/v1/sample/fail/bug", timeout=30)
        process.terminate()
        process.wait()

        lines = [json.loads(line) for line in process.log.splitlines()]
    assert all({"timestamp", "level", "service", "event"} <= line.keys() for line in lines)
    assert {line["service"] for line in lines} == {"sample"}


def test_a_service_without_a_database_needs_no_library_for_one() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['sqlalchemy','sqlmodel','asyncpg','alembic','redis']));"
        "import services.common.process, services.common.app, services.common.security, services.common.tokens;"
        "from tests.common.sample.main import create_app; create_app()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Process]:
    """The sample as `services.sample` of a copied tree, served with reload."""
    services = tmp_path / "services"
    shutil.copytree(ROOT / "services/common", services / "common")
    shutil.copy(ROOT / "services/__init__.py", services)
    shutil.copytree(ROOT / "tests/common/sample", services / "sample")
    for file in (services / "sample").glob("*.py"):
        file.write_text(file.read_text().replace("tests.common.sample", "services.sample"))
    env = {"PYTHONPATH": str(tmp_path), "DRAIN_SECONDS": "30"}
    with service_process("services.sample", env, arguments=("serve", "--reload")) as process:
        yield process
        process.terminate()
        assert process.wait() == 0


def wait_for_answer(process: Process, wanted: str) -> int:
    """Ask until the answer is this one; the pid that gave it."""
    deadline = time.monotonic() + 60
    last = ""
    while time.monotonic() < deadline:
        try:
            answer = httpx2.get(f"{process.url}/v1/sample/ping", timeout=30).json()
        except httpx2.HTTPError as error:
            last = repr(error)
        else:
            if answer["answer"] == wanted:
                return int(answer["pid"])
            last = answer["answer"]
        time.sleep(0.05)
    raise TimeoutError(f"{wanted} was not answered but {last}; the log ends:\n{process.log[-3000:]}")


def test_an_edited_file_answers_and_a_broken_one_can_be_mended(copy: Process, tmp_path: Path) -> None:
    main = tmp_path / "services/sample/main.py"
    good = main.read_text()
    first = wait_for_answer(copy, "hello")

    main.write_text(good.replace('ANSWER = "hello"', 'ANSWER = "edited"'))
    second = wait_for_answer(copy, "edited")

    main.write_text("def broken(")
    deadline = time.monotonic() + 60
    while "SyntaxError" not in copy.log:
        assert time.monotonic() < deadline, copy.log
        time.sleep(0.05)

    main.write_text(good.replace('ANSWER = "hello"', 'ANSWER = "mended"'))
    third = wait_for_answer(copy, "mended")

    assert copy.popen.poll() is None
    assert len({copy.popen.pid, first, second, third}) == 4

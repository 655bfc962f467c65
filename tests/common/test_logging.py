"""Every line of the log is one JSON object, whatever is put into it and whoever writes it."""

import json
import logging
import threading
import warnings
from typing import Any

import pytest
import structlog

from services.common.logging import configure_logging


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]


def test_a_line_begins_with_the_agreed_fields(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("item_created", colour="red")

    (line,) = logged(capsys)
    assert list(line) == ["timestamp", "level", "service", "event", "colour"]
    assert line["timestamp"].endswith("Z")
    assert line["level"] == "info"


@pytest.mark.parametrize(
    "value", ["a\nb", 'a"}\n{"event":"forged"}', "\u2028\x00\x1b[31m", "\ud800", 2**80, b"\xff", {1: 2}]
)
def test_no_value_breaks_out_of_its_line(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("item_created", value=value)

    (line,) = logged(capsys)
    assert line["event"] == "item_created"


def test_libraries_write_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("some.library").warning("lost %s\nand found", "it")

    (line,) = logged(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("lost it\nand found", "warning", "some.library")
    assert line["service"] == "sample"


def test_a_library_that_prints_tokens_at_debug_does_not_get_to(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("sample", "DEBUG")

    logging.getLogger("authlib.oauth2.rfc6749.grants.base").debug("Issue token %r", {"access_token": "secret"})

    assert logged(capsys) == []


def test_a_broken_line_of_a_library_breaks_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)

    logging.getLogger("some.library").warning("lost %d", "it")

    assert logged(capsys) == []


def test_a_stack_is_part_of_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        int("odd")
    except ValueError:
        structlog.get_logger().exception("item_lost")
        logging.getLogger("some.library").exception("lost")

    ours, theirs = logged(capsys)
    assert "ValueError: invalid literal" in ours["exception"]
    assert "ValueError: invalid literal" in theirs["exception"]


def test_warnings_of_python_are_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    logging.captureWarnings(capture=False)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        configure_logging("sample", "INFO")
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    assert "old ways" in logged(capsys)[0]["event"]


def test_the_level_is_kept_for_ours_and_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("sample", "WARNING")

    structlog.get_logger().info("item_created")
    logging.getLogger("some.library").info("found")
    structlog.get_logger().warning("item_lost")

    assert [line["event"] for line in logged(capsys)] == ["item_lost"]


def test_lines_of_threads_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        for _ in range(50):
            structlog.get_logger().info("item_created", text="x" * 5000)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(logged(capsys)) == 200

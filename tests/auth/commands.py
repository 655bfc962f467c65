"""The commands of operators, run in this process."""

import argparse
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from services.common.settings import ProcessSettings


async def run_command(settings: ProcessSettings, add_commands: Callable[[Any], None], *words: str) -> int:
    """What `python -m services.auth words…` does under these settings; the exit code."""
    parser = argparse.ArgumentParser(prog="auth")
    add_commands(parser.add_subparsers(required=True))
    arguments = parser.parse_args(words)
    with pytest.MonkeyPatch.context() as patch, _logging_restored():
        for name, value in settings:
            if value is not None and name != "trusted_proxies":
                patch.setenv(name.upper(), value.get_secret_value() if isinstance(value, SecretStr) else str(value))
        code: int = await arguments.run(arguments)
    return code


@contextmanager
def _logging_restored() -> Generator[None]:
    """A command logs as its own process would; the tests after it do not."""
    root = logging.getLogger()
    handlers, level, known = root.handlers, root.level, structlog.get_config()
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        logging.captureWarnings(capture=False)
        structlog.configure(**known)

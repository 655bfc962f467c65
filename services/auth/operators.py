"""How operators' commands and CronJobs reach the database, and how they end when it is away."""

import sys
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry

from services.auth.sealing import SealedWithAnotherKeyError
from services.auth.settings import CommandSettings
from services.common.exceptions import ServiceError
from services.common.logging import configure_logging
from services.common.postgres import SessionMaker, open_postgres, session_maker
from services.common.process import END_FAILED, read_settings

Work = Callable[[CommandSettings, SessionMaker], Awaitable[int]]


async def as_operator(work: Work) -> int:
    """Do the work and return its exit code; what is known to go wrong is a sentence and the code 1."""
    settings = read_settings(CommandSettings)
    configure_logging(settings.service_name, settings.log_level)
    async with open_postgres(settings, CollectorRegistry()) as engine:
        try:
            return await work(settings, session_maker(engine))
        except (ServiceError, SealedWithAnotherKeyError) as error:
            return refuse(str(error))


def refuse(sentence: str) -> int:
    """Say why not; the exit code."""
    print(f"{sentence.rstrip('.')}.", file=sys.stderr)  # noqa: T201 - for the person at the terminal
    return END_FAILED


def say(*words: object) -> None:
    """A line of the command's result."""
    print(*words)  # noqa: T201 - the command's result

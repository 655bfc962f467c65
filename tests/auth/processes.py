"""Replicas of auth in processes of their own."""

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial

from pydantic import SecretStr

from services.auth.settings import AuthSettings
from services.common.settings import ProcessSettings
from tests.support.processes import Process, service_process, wait_until_ready

ROUNDS = int(os.environ.get("RACE_ROUNDS", "20"))
AT_ONCE = 8
RACING = "tests.auth.racing"
ITS_OWN = {"host", "port", "management_port"}


def environment(settings: ProcessSettings) -> dict[str, str]:
    """The variables that a process reads these settings from."""
    values = {name.upper(): value for name, value in settings if name not in ITS_OWN and value not in (None, ())}
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value) for name, value in values.items()
    }


@contextmanager
def two_replicas(settings: AuthSettings, **env: str) -> Generator[list[Process]]:
    """Two processes of auth with pauses where two requests could meet, ready."""
    variables = environment(settings) | {"LOG_LEVEL": "WARNING", **env}
    with ExitStack() as stack:
        started = [stack.enter_context(service_process(RACING, variables, wait_ready=False)) for _ in range(2)]
        for process in started:
            wait_until_ready(process.management_url, process.popen, partial(getattr, process, "log"))
        yield started

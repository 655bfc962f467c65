"""`python -m services.<name> serve | migrate | head | …`: the one way in for image, Job and operators."""

import argparse
import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import structlog
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import SettingsError

from services.common.logging import configure_logging
from services.common.management import ManagementServer
from services.common.server import Server, listen, server_config
from services.common.settings import MigrationSettings, ProcessSettings, ServiceSettings, sentences, wrong_tracing

END_FAILED = 1
WRONG_SETTINGS = 2
START_FAILED = 3
TERMINATED = 128 + signal.SIGTERM

log = structlog.get_logger()
S = TypeVar("S", bound=ProcessSettings)
Commands = Any  # what argparse's add_subparsers returns; its class is private


def run(
    name: str,
    *,
    create_app: Callable[[Any], FastAPI],
    settings: type[ServiceSettings],
    migrations: str | None = None,
    add_commands: Callable[[Commands], None] | None = None,
) -> NoReturn:
    """Read the command line and do it. `migrations` is the package with the service's alembic history.

    `add_commands` adds the service's own: each sets the default `run`, an async function of the arguments that returns
    the exit code.
    """
    # as process 1 it would not hear of SIGTERM at all until the server takes over
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    arguments = _parser(name, with_migrations=migrations is not None, add_commands=add_commands).parse_args()
    if arguments.command == "serve" and arguments.reload:
        sys.exit(_reload(name))
    if arguments.command == "serve":
        sys.exit(serve(name, create_app, settings))
    if hasattr(arguments, "run"):
        sys.exit(asyncio.run(until_terminated(arguments.run(arguments))))
    # only services with a database have these libraries
    from services.common import migrations as runner

    assert migrations is not None  # noqa: S101 - the parser offers these commands only then
    if arguments.command == "head":
        print(runner.head(migrations))  # noqa: T201 - the command's result
        sys.exit(0)
    own = read_settings(MigrationSettings)
    configure_logging(name, own.log_level)
    sys.exit(asyncio.run(until_terminated(runner.migrate(own, migrations))))


async def until_terminated(work: Coroutine[Any, Any, int]) -> int:
    """Do the work and return its exit code; on SIGTERM cancel it, so that it frees what it holds, and return 143.

    An exception out of a signal handler could come up anywhere, within the driver too, and be lost or leave it hanging.
    """
    task = asyncio.ensure_future(_exit_code(work))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait({task})
    return TERMINATED if task.cancelled() else task.result()


async def _exit_code(work: Coroutine[Any, Any, int]) -> int:
    """Its own, or that of `sys.exit`: raised out of a task, that would be told with a stack."""
    try:
        return await work
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else END_FAILED


def _parser(
    name: str, *, with_migrations: bool, add_commands: Callable[[Commands], None] | None
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}")
    commands = parser.add_subparsers(dest="command", required=True)
    serve_parser = commands.add_parser("serve", help="answer requests until SIGTERM")
    serve_parser.add_argument("--reload", action="store_true", help="start again when a .py changes (development)")
    if with_migrations:
        commands.add_parser("migrate", help="bring the database to this version's head")
        commands.add_parser("head", help="print this version's head revision")
    if add_commands:
        add_commands(commands)
    return parser


def read_settings(settings: type[S]) -> S:
    """Read the environment, or end the process with a sentence for each wrong variable."""
    try:
        return settings()
    except ValidationError as error:
        for sentence in sentences(error):
            print(sentence, file=sys.stderr)  # noqa: T201 - there is no log level yet to log under
        sys.exit(WRONG_SETTINGS)
    except SettingsError as error:  # a list or a table that is not JSON
        print(f"{error}.", file=sys.stderr)  # noqa: T201 - likewise
        sys.exit(WRONG_SETTINGS)


def serve(name: str, create_app: Callable[[Any], FastAPI], settings_class: type[ServiceSettings]) -> int:
    """Serve until drained. Returns the exit code: 0 after a clean drain."""
    settings = read_settings(settings_class)
    if wrong := wrong_tracing():
        print(*wrong, sep="\n", file=sys.stderr)  # noqa: T201 - as other wrong variables
        return WRONG_SETTINGS
    configure_logging(name, settings.log_level)
    app = create_app(settings)
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        return _cannot_listen("PORT", settings.host, settings.port, error)
    try:
        management = ManagementServer(
            (settings.host, settings.management_port),
            health=app.state.health,
            registry=app.state.registry,
            liveness_seconds=settings.liveness_seconds,
            operations=app.state.operations,
        )
    except OSError as error:
        return _cannot_listen("MANAGEMENT_PORT", settings.host, settings.management_port, error)
    server = Server(
        server_config(app, registry=app.state.registry, shutdown_seconds=settings.shutdown_seconds),
        health=app.state.health,
        drain_seconds=settings.drain_seconds,
    )
    log.info("service_starting", port=listener.getsockname()[1], management_port=management.server_address[1])
    with management.running():
        server.run(sockets=[listener])  # a lifespan that cannot start ends the process here, with exit code 3
    log.info("service_stopped")
    return END_FAILED if server.lifespan.should_exit else 0


def _cannot_listen(variable: str, host: str, port: int, error: OSError) -> int:
    print(f"{variable}={port} cannot be listened on at {host}: {error.strerror}.", file=sys.stderr)  # noqa: T201
    return START_FAILED


def _reload(name: str) -> int:
    """Run `serve` as a child that is replaced whenever a .py below `services` changes; this process stays."""
    from watchfiles import PythonFilter, run_process

    folder = Path(__file__).resolve().parents[1]
    os.environ["DRAIN_SECONDS"] = "0"  # nobody waits for a developer's process to leave a load balancer
    command = shlex.join([sys.executable, "-m", f"services.{name}", "serve"])
    run_process(folder, target=command, target_type="command", watch_filter=PythonFilter(), debounce=200)
    return 0

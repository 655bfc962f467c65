"""`make run`: the services as plain processes with reload, on a Postgres and a Redis that end with them."""

import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from tests.support.databases import execute
from tests.support.processes import ROOT, wait_until_ready
from tests.support.servers import postgres_server, redis_server

# service: (application port, management port); RUN_PORT moves them all. The first one's is the way in
FIRST_PORT = int(os.environ.get("RUN_PORT", "8000"))
PORTS = {name: (FIRST_PORT + n, FIRST_PORT + 1000 + n) for n, name in enumerate(("gateway", "items", "auth"))}
ORIGIN = f"http://127.0.0.1:{FIRST_PORT}"  # by number: auth sends nobody back to localhost, which may lead elsewhere
VALUES = ROOT / "charts" / "slipway" / "values.yaml"


def main() -> int:
    """Start everything, print what to try, and stay until Ctrl-C or until one part ends."""
    try:
        refuse_taken_ports()
        with ExitStack() as stack:
            for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job is started deaf to the first
                signal.signal(number, interrupted)
            client = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slipway-run-"))) / "client.curl"
            processes = start(stack, client)
            print(report(client), flush=True)
            return watch(processes)
    except KeyboardInterrupt:
        return 0
    except (OSError, RuntimeError) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1


def interrupted(*_: object) -> None:
    """Either signal ends it the way Ctrl-C does."""
    raise KeyboardInterrupt


def refuse_taken_ports() -> None:
    """Raise OSError with a sentence when somebody listens where a service would."""
    for service, ports in PORTS.items():
        for port in ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    raise OSError(
                        f"port {port}, which {service} needs, is taken; `ss -ltnp` tells by whom, and RUN_PORT=8100 "
                        "moves them all"
                    ) from None


def start(stack: ExitStack, client: Path) -> dict[str, "subprocess.Popen[bytes]"]:
    """Servers, migrations, services, a client; each is ended by the stack. Raises RuntimeError or TimeoutError."""
    postgres = stack.enter_context(postgres_server())
    redis = stack.enter_context(redis_server())
    given = variables(postgres.url.removesuffix("/postgres"), redis.url)
    for name in ("auth", "items"):
        own = given[name]
        execute(postgres.url, f"CREATE DATABASE {name}")
        command = [sys.executable, "-m", f"services.{name}", "migrate"]
        if subprocess.run(command, env=environment(own), check=False).returncode:
            raise RuntimeError(f"the migration of {name} failed; its log is above")
    for words in first_commands():
        command = [sys.executable, "-m", "services.auth", *words]
        if subprocess.run(command, env=environment(given["auth"]), stdout=subprocess.DEVNULL, check=False).returncode:
            raise RuntimeError(f"{' '.join(words[:3])} of auth failed; its reason is above")
    processes = {name: stack.enter_context(service(name, own)) for name, own in given.items()}
    for name, process in processes.items():
        wait_until_ready(f"http://127.0.0.1:{PORTS[name][1]}", process, lambda: "(above)")
    register(given["auth"]["DATABASE_URL"], client)
    return processes


def variables(postgres: str, redis: str) -> dict[str, dict[str, str]]:
    """What each service is told, by name; auth comes up first."""
    tokens = {"ISSUER": ORIGIN, "AUDIENCE": "slipway", "STATE_URL": redis}
    behind = {**tokens, "TRUSTED_PROXIES": "127.0.0.1/32"}  # the gateway
    auth = at("auth")
    keys = ("KEY_ENCRYPTION_KEY", "TOKEN_KEY", "AUDIT_KEY")
    return {
        "auth": {
            **behind,
            **{name: secrets.token_hex(32) for name in keys},
            "DATABASE_URL": f"{postgres}/auth",
            "MAILER": "console",
            "SIGN_UP_ROLE": "editor",
        },
        "items": {
            **behind,
            "AUTH_URL": auth,
            "DATABASE_URL": f"{postgres}/items",
            "CACHE_URL": redis,
            "CURSOR_KEY": secrets.token_hex(32),
        },
        "gateway": {**tokens, "AUTH_URL": auth, "ROUTES": json.dumps(routes())},
    }


def at(name: str) -> str:
    """Where a service listens."""
    return f"http://127.0.0.1:{PORTS[name][0]}"


def routes() -> dict[str, dict[str, Any]]:
    """The table of the gateway, from the paths and routes of the chart's values."""
    services = yaml.safe_load(VALUES.read_text())["services"]
    return {
        path: {"upstream": at(name), "service": name, **services[name].get("routes", {}).get(path, {})}
        for name in services["gateway"]["calls"]
        for path in [*services[name]["paths"], *services[name].get("routes", {})]
    }


def first_commands() -> list[list[str]]:
    """What the chart has auth do once when it is installed."""
    once = yaml.safe_load(VALUES.read_text())["services"]["auth"]["once"]
    return [[word.replace("$(ISSUER)", ORIGIN) for word in entry["args"]] for entry in once.values()]


def register(database: str, file: Path) -> None:
    """A client for the printed lines; its id and secret go into a file that curl reads and nobody else may."""
    name, secret = "run", secrets.token_urlsafe(32)
    execute(
        database,
        "INSERT INTO clients (id, name, authentication_method, secret_hash, grant_types, scopes) VALUES "  # noqa: S608
        f"('{name}', 'make run', 'client_secret_basic', '\\x{hashlib.sha256(secret.encode()).hexdigest()}', "
        "'{client_credentials}', '{items:read,items:write}')",
    )
    file.touch(mode=0o600)
    file.write_text(f'user = "{name}:{secret}"\n')


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What a service may read: its own variables, and the tracing ones of the shell."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or name.startswith("OTEL_")}
    return {**kept, "PYTHONPATH": str(ROOT), "ENVIRONMENT": "development", "HOST": "127.0.0.1", **variables}


@contextmanager
def service(name: str, variables: Mapping[str, str]) -> Generator["subprocess.Popen[bytes]"]:
    """One service with reload, in a process group of its own so that its children end with it."""
    port, management = PORTS[name]
    env = environment({**variables, "PORT": str(port), "MANAGEMENT_PORT": str(management)})
    command = [sys.executable, "-m", f"services.{name}", "serve", "--reload"]
    process = subprocess.Popen(command, env=env, cwd=ROOT, start_new_session=True)
    try:
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask the reloader to end its child and itself, and kill what is left of the group after ten seconds."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def report(client: Path) -> str:
    """What to paste next."""
    return f"""
Slipway runs at {ORIGIN}, its API at {ORIGIN}/docs. An edited .py is live at once; Ctrl-C ends everything,
rows included. Behind it, for debugging: items at {at("items")}, auth at {at("auth")}.

  TOKEN=$(curl -s -K {client} {ORIGIN}/oauth2/token -d grant_type=client_credentials \\
      | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
  curl -s {ORIGIN}/v1/items -H "Authorization: Bearer $TOKEN" \\
      -H 'Content-Type: application/json' -d '{{"name": "lamp", "price_minor": 4900, "currency": "EUR"}}'
  curl -s {ORIGIN}/v1/items -H "Authorization: Bearer $TOKEN"
"""


def watch(processes: Mapping[str, "subprocess.Popen[bytes]"]) -> int:
    """Stay until a process ends by itself; returns 1 then."""
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                print(f"make run: {name} ended with code {process.returncode}", file=sys.stderr)
                return 1
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())

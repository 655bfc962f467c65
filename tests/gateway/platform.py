"""The platform in processes of its own: two gateways, two of items, two of auth, and servers that may be killed."""

import json
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.ledger.findings import Row, rows_query
from tests.e2e.ledger.sign_in import Machine
from tests.support.databases import execute
from tests.support.processes import ROOT, Process, service_process, wait_until_ready
from tests.support.servers import Server, free_port, postgres_server, redis_server

KNOWN_SECONDS = 0.4  # until whoever balances knows that a pod is on its way out, or dead
RESOLVE_SECONDS = 0.2
DRAIN_SECONDS = 2.5  # longer than both together, on a busy machine too
TOKEN_SECONDS = 10  # short, so that tokens are renewed during a run
MODULES = {"gateway": "tests.gateway.standing", "items": "services.items", "auth": "services.auth"}
NETWORKS = {"gateway": "127.0.1", "items": "127.0.2", "auth": "127.0.3"}
ISSUER = "http://slipway.test"


@dataclass
class Pod:
    """A process at an address of its own, which is started again at the same."""

    service: str
    address: str
    stack: ExitStack
    process: Process


@dataclass
class Platform:
    """What runs, and who is known to whom: pods of services to the gateways, gateways to the clients."""

    folder: Path
    postgres: Server
    cache: Server
    state: Server
    variables: dict[str, dict[str, str]]
    pods: dict[str, Pod] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    machine: Machine = ("", "")

    def client(self, *, timeout_seconds: float = 10) -> httpx2.Client:
        """A client of one of the gateways that are known, as a load balancer picks it."""
        address = random.choice([pod.address for name, pod in self.pods.items() if name in self.known & self.gateways])
        port = self.variables["gateway"]["PORT"]
        # in the clear: loading certificates takes longer than most requests
        url = f"http://{address}:{port}"
        return httpx2.Client(base_url=url, timeout=timeout_seconds, trust_env=False, verify=False)

    @property
    def gateways(self) -> set[str]:
        """The names of the gateways' pods."""
        return self.of("gateway")

    def of(self, service: str) -> set[str]:
        """The names of a service's pods."""
        return {name for name in self.pods if name.startswith(service)}

    def start(self, *names: str) -> None:
        """Start pods side by side; they are known to all once they are ready."""
        for name in names:
            self.pods[name] = self._started(name)
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(self._wait, [self.pods[name] for name in names]))
        self._know(self.known | set(names))
        time.sleep(2 * RESOLVE_SECONDS)

    def close(self) -> None:
        """End all pods."""
        for pod in self.pods.values():
            pod.stack.close()

    def roll(self, service: str) -> None:
        """SIGTERM to each pod in turn; those in front of it hear of it a while later, and it comes again."""
        for name in sorted(self.of(service)):
            self.pods[name].process.terminate()
            self._replace(name)

    def kill(self, service: str) -> None:
        """SIGKILL to each pod in turn, likewise."""
        for name in sorted(self.of(service)):
            self.pods[name].process.popen.kill()
            self._replace(name)

    def lose(self, *names: str) -> None:
        """Have pods dead and gone."""
        self._know(self.known - set(names))
        for name in names:
            self.pods[name].stack.close()

    def hand_over(self, service: str) -> None:
        """As a rollout of one pod does it: the second is ready, the first is told to stop, and that is heard late."""
        first, second = f"{service}-1", f"{service}-2"
        self.pods[second] = self._started(second)
        self._wait(self.pods[second])
        self.pods[first].process.terminate()
        time.sleep(KNOWN_SECONDS)
        self._know(self.known - {first} | {second})
        self.pods[first].process.wait()

    @contextmanager
    def alone(self, service: str, **variables: str) -> Generator[None]:
        """A service with one pod and other variables for as long as the block lasts."""
        before, names = self.variables[service], sorted(self.of(service))
        self.lose(*names)
        self.variables[service] = {**before, **variables}
        self.start(names[0])
        try:
            yield
        finally:
            self.lose(*names)
            self.variables[service] = before
            self.start(*names)

    def _replace(self, name: str) -> None:
        time.sleep(KNOWN_SECONDS)
        self._know(self.known - {name})
        self.pods[name].process.wait()
        self.pods[name].stack.close()
        self.start(name)

    def _started(self, name: str) -> Pod:
        service, _, number = name.partition("-")
        address = f"{NETWORKS[service]}.{number}"
        stack = ExitStack()
        variables = {**self.variables[service], "HOST": address}
        process = stack.enter_context(service_process(MODULES[service], variables, wait_ready=False))
        return Pod(service, address, stack, process)

    def _wait(self, pod: Pod) -> None:
        url = f"http://{pod.address}:{pod.process.management_port}"
        wait_until_ready(url, pod.process.popen, lambda: pod.process.log)

    def _know(self, names: set[str]) -> None:
        self.known = names
        lines = [f"{self.pods[name].service}.test {self.pods[name].address}" for name in names]
        new = self.dns.with_suffix(".new")
        new.write_text("\n".join(lines), "ascii")
        new.rename(self.dns)

    @property
    def dns(self) -> Path:
        """The file that the gateways resolve by."""
        return self.folder / "dns"

    def operate(self, *words: str) -> str:
        """What `python -m services.auth words…` prints."""
        return command("auth", words, self.variables["auth"])

    def new_machine(self) -> Machine:
        """A client of auth that may read and write items."""
        scopes = ("--scopes", "items:read items:write")
        made = json.loads(self.operate("clients", "create", "ledger", "--id", "ledger", *scopes, "--json"))
        return "ledger", made["secret"]

    def rows(self, run: str) -> list[Row]:
        """What the database has of a run."""
        return [tuple(row) for row in execute(self.variables["items"]["DATABASE_URL"], rows_query(run))[0]]

    def logs(self) -> str:
        """The end of each pod's log: what a failure shows."""
        return "\n".join(f"{name}:\n{pod.process.log[-1500:]}" for name, pod in sorted(self.pods.items()))


@contextmanager
def platform(folder: Path, **changes: str) -> Generator[Platform]:
    """All of it, ready. `changes` are variables of every service."""
    with ExitStack() as stack:
        # a killed server must not forget what it has acknowledged; the machine itself stays up
        postgres = stack.enter_context(postgres_server("synchronous_commit=on"))
        cache, state = (stack.enter_context(redis_server(*more)) for more in ((), ("--appendonly", "yes")))
        made = Platform(folder, postgres, cache, state, variables(folder, postgres, cache, state, changes))
        made.dns.write_text("")
        for service in ("items", "auth"):
            execute(postgres.url, f"CREATE DATABASE {service}")
            command(service, ("migrate",), made.variables[service])
        stack.callback(made.close)
        made.start("auth-1", "auth-2")  # who checks tokens asks it for its keys
        made.start("items-1", "items-2", "gateway-1", "gateway-2")
        made.machine = made.new_machine()
        yield made


def variables(
    folder: Path, postgres: Server, cache: Server, state: Server, changes: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """What each service is told."""
    databases = postgres.url.removesuffix("/postgres")
    common: dict[str, Any] = {"ENVIRONMENT": "development", "LOG_LEVEL": "WARNING", "DRAIN_SECONDS": str(DRAIN_SECONDS)}
    ports = {name: {"PORT": str(free_port()), "MANAGEMENT_PORT": str(free_port())} for name in MODULES}
    tokens = {"ISSUER": ISSUER, "AUDIENCE": "slipway", "STATE_URL": state.url}
    keys = {"JWKS_URL": f"http://{NETWORKS['auth']}.1:{ports['auth']['PORT']}/.well-known/jwks.json"}
    items, auth = (f"http://{name}.test:{ports[name]['PORT']}" for name in ("items", "auth"))
    own = {
        "gateway": {
            **keys,
            "ROUTES": json.dumps({"/v1/items": items, "/oauth2": auth, "/.well-known": auth}),
            "DNS_FILE": str(folder / "dns"),
            "RESOLVE_SECONDS": str(RESOLVE_SECONDS),
            "DOCUMENTS_SECONDS": "0",
        },
        "items": {
            **keys,
            "DATABASE_URL": f"{databases}/items",
            "CACHE_URL": cache.url,
            "CURSOR_KEY": secrets.token_hex(32),
        },
        "auth": {
            "DATABASE_URL": f"{databases}/auth",
            "ACCESS_TOKEN_SECONDS": str(TOKEN_SECONDS),
            "KEY_PUBLISH_SECONDS": "0",
            **{name: secrets.token_hex(32) for name in ("KEY_ENCRYPTION_KEY", "TOKEN_KEY", "AUDIT_KEY")},
        },
    }
    return {name: {**common, **ports[name], **tokens, **own[name], **changes} for name in MODULES}


def command(service: str, words: tuple[str, ...], variables: Mapping[str, str]) -> str:
    """What a command of a service prints. Raises RuntimeError with what it said when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}", *words],
        env={"PATH": str(Path(sys.executable).parent), **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{service} {' '.join(words[:2])} failed: {done.stdout[-500:]}{done.stderr[-2000:]}")
    return done.stdout

"""The platform in processes of its own: two pods of auth, two of items, and a gateway that everybody comes through."""

import json
import secrets
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.processes import Process, service_process, wait_until_ready
from tests.support.servers import free_port

HOSTS = ("127.0.0.11", "127.0.0.12")  # each a pod of every service
AUTH_PATHS = (
    *("/v1/users", "/v1/roles", "/v1/clients", "/v1/audit"),
    *("/oauth2", "/.well-known", "/login", "/logout", "/account"),
)
GUARDED = "/v1/pod"  # behind it stands a pod that checks nothing: what is refused there the gateway has refused


@dataclass
class Platform:
    """Its pods by service, each with the address that it alone answers at."""

    gateway: Process
    pods: dict[str, list[tuple[str, Process]]]
    stack: ExitStack
    environments: dict[str, dict[str, str]] = field(repr=False)

    def start(self, service: str) -> str:
        """One pod more, which the gateway does not know of; its address."""
        process = self.stack.enter_context(service_process(f"services.{service}", self.environments[service]))
        self.pods[service].append((process.url, process))
        return process.url

    def log(self) -> str:
        """The end of everybody's log."""
        processes = [self.gateway, *(process for pods in self.pods.values() for _, process in pods)]
        return "\n".join(process.log[-1500:] for process in processes)


@contextmanager
def platform(
    folder: Path, auth: Mapping[str, str], items: Mapping[str, str], *, state_url: str, **gateway: str
) -> Generator[Platform]:
    """All of it, ready; `auth` and `items` are the settings of their own that these need."""
    auth_port, items_port, guarded_port = free_port(), free_port(), free_port()
    verifies = {
        "ISSUER": auth["ISSUER"],
        "AUDIENCE": auth["AUDIENCE"],
        "JWKS_URL": f"http://{HOSTS[0]}:{auth_port}/.well-known/jwks.json",
        "STATE_URL": state_url,
        "LOG_LEVEL": "WARNING",
    }
    environments = {
        "auth": {**auth, "STATE_URL": state_url, "LOG_LEVEL": "WARNING"},
        "items": {**verifies, "CURSOR_KEY": secrets.token_hex(32), **items},
    }
    dns = folder / "dns"
    dns.write_text("\n".join(HOSTS), "ascii")
    routes = {
        **dict.fromkeys(AUTH_PATHS, _route(f"http://auth.test:{auth_port}", public=True)),
        "/v1/items": _route(f"http://items.test:{items_port}", public=False),
        GUARDED: _route(f"http://pod.test:{guarded_port}", public=False),
    }
    gateway = {**verifies, "ROUTES": json.dumps(routes), "DNS_FILE": str(dns), "DOCUMENTS_SECONDS": "0", **gateway}
    modules = {
        "auth": ("services.auth", environments["auth"], auth_port),
        "items": ("services.items", environments["items"], items_port),
        "pod": ("tests.gateway.pod", {"LOG_LEVEL": "WARNING"}, guarded_port),
    }
    with ExitStack() as stack:
        pods: dict[str, list[tuple[str, Process]]] = {}
        for service, (module, env, port) in modules.items():
            pods[service] = []
            for host in HOSTS:
                here = {**env, "HOST": host, "PORT": str(port)}
                process = stack.enter_context(service_process(module, here, wait_ready=False))
                pods[service].append((f"http://{host}:{port}", process))
        for service in ("auth", "items", "pod"):  # all begin at once; items have no keys before auth is there
            for url, process in pods[service]:
                management = f"{url.rpartition(':')[0]}:{process.management_port}"
                wait_until_ready(management, process.popen, lambda: process.log)  # noqa: B023 - called at once
        started = stack.enter_context(service_process("tests.gateway.standing", gateway))
        yield Platform(started, pods, stack, environments)


@contextmanager
def gateway_before(auth: Process, issuer: str, audience: str, **env: str) -> Generator[Process]:
    """A gateway, ready, whose only service is this process of auth."""
    settings = {
        "ROUTES": json.dumps(dict.fromkeys(AUTH_PATHS, _route(auth.url, public=True))),
        "ISSUER": issuer,
        "AUDIENCE": audience,
        "JWKS_URL": f"{auth.url}/.well-known/jwks.json",
        "DOCUMENTS_SECONDS": "0",
        "LOG_LEVEL": "WARNING",
    }
    with service_process("services.gateway", settings | env) as process:
        yield process


def _route(upstream: str, *, public: bool) -> dict[str, object]:
    return {"upstream": upstream, "public": public, "limits": []}

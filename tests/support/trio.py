"""One of each service in processes of their own behind the gateway, as in a cluster, over the suite's servers."""

import hashlib
import json
import secrets
import uuid
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx2

from services.common.migrations import migrate
from services.common.settings import MigrationSettings
from tests.support.databases import execute, new_database
from tests.support.processes import Process, service_process
from tests.support.servers import free_port

AUDIENCE = "slipway"
MACHINE, SECRET = "trio-tests", secrets.token_urlsafe(32)
SCOPES = "{items:read,items:write,platform:operate}"


@dataclass
class Trio:
    """The processes, and a client that may do everything."""

    gateway: Process
    items: Process
    auth: Process
    issuer: str

    def token(self, scope: str = "items:read items:write") -> str:
        """An access token of the machine, by way of the gateway."""
        form = {"grant_type": "client_credentials", "scope": scope}
        answer = httpx2.post(f"{self.gateway.url}/oauth2/token", data=form, auth=(MACHINE, SECRET), timeout=30)
        assert answer.status_code == 200, f"{answer.text}; the log of auth ends:\n{self.auth.log[-3000:]}"
        return str(answer.json()["access_token"])


async def migrated(stack: ExitStack, postgres_url: str) -> dict[str, str]:
    """A database at head for each service that has one."""
    urls = {}
    for name in ("auth", "items"):
        urls[name] = stack.enter_context(new_database(postgres_url, f"{name}_{uuid.uuid4().hex[:12]}"))
        assert await migrate(MigrationSettings(database_url=urls[name]), f"services.{name}.migrations") == 0
    return urls


@contextmanager
def trio(databases: Mapping[str, str], redis_url: str, **env: str) -> Generator[Trio]:
    """Auth, items and the gateway, ready; `env` is given to each."""
    register(databases["auth"])
    with ExitStack() as stack:
        issuer = f"http://127.0.0.1:{free_port()}"
        tokens = {"ISSUER": issuer, "AUDIENCE": AUDIENCE, "STATE_URL": redis_url, "ENVIRONMENT": "development"}
        keys = {name: secrets.token_hex(32) for name in ("KEY_ENCRYPTION_KEY", "TOKEN_KEY", "AUDIT_KEY")}
        auth_env = {**tokens, **keys, "DATABASE_URL": databases["auth"], "MAILER": "console", **env}
        auth = stack.enter_context(service_process("services.auth", auth_env))
        items_env = {
            **tokens,
            "AUTH_URL": auth.url,
            "DATABASE_URL": databases["items"],
            "CACHE_URL": redis_url,
            "CURSOR_KEY": secrets.token_hex(32),
            **env,
        }
        items = stack.enter_context(service_process("services.items", items_env))
        routes = {"/v1/items": items.url} | dict.fromkeys(("/v1/users", "/oauth2", "/.well-known", "/login"), auth.url)
        gateway_env = {**tokens, "AUTH_URL": auth.url, "ROUTES": json.dumps(routes), "DOCUMENTS_SECONDS": "0", **env}
        gateway = stack.enter_context(service_process("services.gateway", gateway_env))
        yield Trio(gateway, items, auth, issuer)


def register(database: str) -> None:
    """The machine, with its secret."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    execute(
        database,
        "INSERT INTO clients (id, name, authentication_method, secret_hash, grant_types, scopes) VALUES "  # noqa: S608
        f"('{MACHINE}', 'tests', 'client_secret_basic', '\\x{digest}', '{{client_credentials}}', '{SCOPES}') "
        "ON CONFLICT (id) DO NOTHING",
    )

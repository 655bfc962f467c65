"""Auth beside npm's oidc-provider, with clients and tokens of both in the same Postgres."""

import base64
import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.bench.gateway import named
from tests.bench.items import run_python
from tests.bench.load import Request, Target
from tests.bench.questions import InvalidRunError, Measure, Question, Ratio
from tests.bench.runner import ROOT
from tests.bench.servers import Running, process, service
from tests.support.databases import execute, with_database
from tests.support.servers import postgres_server, redis_server

MODULES = ROOT / ".bench" / "oidc-provider" / "node_modules"
SCOPES = "items:read items:write"
CLIENT, SECRET = "bench", secrets.token_urlsafe(32)
BASIC = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
FORM = {"Authorization": f"Basic {BASIC}", "Content-Type": "application/x-www-form-urlencoded"}
GRANT = f"grant_type=client_credentials&scope={SCOPES.replace(' ', '+')}".encode()
PATHS = {"auth": ("/oauth2/token", "/oauth2/introspect"), "oidc-provider": ("/token", "/token/introspection")}


@dataclass(frozen=True)
class Stores:
    """A migrated database with one client, another for the peer, and a `state`."""

    ours: str
    theirs: str
    redis: str
    keys: dict[str, str]


@contextmanager
def stores() -> Generator[Stores]:
    """The same, where the peer can run. Raises InvalidRunError where it is not installed."""
    if not shutil.which("node") or not MODULES.is_dir():
        raise InvalidRunError(
            "oidc-provider is not installed: `make bench` installs it with npm, which Debian's npm brings"
        )
    with databases() as found:
        yield found


@contextmanager
def databases() -> Generator[Stores]:
    """Postgres and Redis on the client's cores."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        state = stack.enter_context(redis_server())
        execute(postgres.url, "CREATE DATABASE auth", "CREATE DATABASE peer")
        ours = with_database(postgres.url, "auth")
        run_python("-m", "services.auth", "migrate", DATABASE_URL=ours)
        execute(
            ours,
            "INSERT INTO clients (id, name, authentication_method, secret_hash, grant_types, scopes) VALUES "  # noqa: S608 - of constants
            f"('{CLIENT}', 'bench', 'client_secret_basic', '\\x{hashlib.sha256(SECRET.encode()).hexdigest()}', "
            "'{client_credentials}', '{items:read,items:write}')",
        )
        keys = {name: secrets.token_hex(32) for name in ("KEY_ENCRYPTION_KEY", "TOKEN_KEY", "AUDIT_KEY")}
        yield Stores(ours, with_database(postgres.url, "peer"), state.url, keys)


@contextmanager
def running(around: Stores) -> Generator[Running]:
    """Auth as it runs in production, but for the access log, which the other does not write either."""
    settings = {
        "DATABASE_URL": around.ours,
        "STATE_URL": around.redis,
        "ISSUER": "http://localhost:8000",
        "AUDIENCE": "slipway",
        "MAILER": "console",
        "ENVIRONMENT": "development",
        "LOG_LEVEL": "WARNING",
        **around.keys,
    }
    with service("services.auth", settings) as started:
        yield started


@contextmanager
def auth(around: Stores, *, what: str) -> Generator[Measure]:
    """Auth, measured."""
    with running(around) as started:
        yield asked("auth", what, started)


@contextmanager
def oidc_provider(around: Stores, *, what: str) -> Generator[Measure]:
    """The peer; a token that is introspected is opaque there, for one that is a JWT it keeps nothing to look up."""

    def command(_: Path, port: int) -> list[str]:
        return ["env", f"PORT={port}", "node", str(ROOT / "tests" / "bench" / "apps" / "oidc_provider.mjs")]

    env = {
        "NODE_ENV": "production",
        "MODULES": str(MODULES),
        "DATABASE_URL": around.theirs,
        "CLIENT_ID": CLIENT,
        "CLIENT_SECRET": SECRET,
        "FORMAT": "jwt" if what == "token" else "opaque",
    }
    with process(command, env=env) as peer:
        yield asked("oidc-provider", what, peer)


def asked(side: str, what: str, server: Running) -> Callable[[float], dict[str, float]]:
    """Ask for tokens, or what one says that was asked for before."""
    token, introspect = PATHS[side]
    request = Request(token, "POST", FORM, GRANT)
    if what == "introspect":
        request = Request(introspect, "POST", FORM, f"token={new_token(server.port, request)}".encode())
    wanted = b'"access_token"' if what == "token" else b'"active":true'
    return Target(
        server.port, server.pids, (request,), connections=16, body=lambda body: wanted in body.replace(b": ", b":")
    ).measure


def new_token(port: int, request: Request) -> str:
    """One token. Raises InvalidRunError with what was said instead."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", request.path, request.body, dict(request.headers))
    body = connection.getresponse().read()
    connection.close()
    try:
        return str(json.loads(body)["access_token"])
    except (ValueError, KeyError):
        raise InvalidRunError(f"no token was given out: {body[:300]!r}") from None


QUESTIONS = tuple(
    Question(
        name=f"auth-{what}",
        group="auth",
        asks=asks,
        environment=stores,
        sides={"auth": named(auth, what=what), "oidc-provider": named(oidc_provider, what=what)},
        ratios=(Ratio("auth", "oidc-provider", goal=1.0),),
        short=what == "token",
        rounds=4,
        notes=(note, "one core each: Node's one thread, and auth's one process"),
        needs={"wrk": "wrk"},
    )
    for what, asks, note in (
        (
            "token",
            "How many tokens are given out to a client with its secret, beside oidc-provider?",
            "both sign RS256 with 2048 bits and read the client from Postgres; auth also writes its audit log",
        ),
        (
            "introspect",
            "And how often is a token introspected?",
            "oidc-provider looks an opaque token up in Postgres; auth checks a JWT and whether it was revoked",
        ),
    )
)

"""Auth beside npm's oidc-provider, with clients and tokens of both in the same Postgres."""

import base64
import hashlib
import json
import secrets
import shutil
from collections.abc import Generator
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
REFRESHED = 9000
"""Refresh tokens of a run: each is good for one request, and a run that asks for one twice is thrown away."""
PEOPLE = 200
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
            "'{client_credentials,refresh_token}', '{items:read,items:write,offline_access}')",
            "INSERT INTO users (id, email, name, password_hash) SELECT gen_random_uuid(), "  # noqa: S608 - of constants
            f"n || '@example.com', 'Ada', '' FROM generate_series(1, {PEOPLE}) n",
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
        if what == "refresh":
            yield refreshing("auth", started, grants(around.ours)).measure
        else:
            yield asked("auth", what, started).measure


def grants(url: str) -> list[str]:
    """Refresh tokens of as many grants, of people in turn, as codes would have led to."""
    prefix = secrets.token_hex(16)
    execute(
        url,
        "INSERT INTO grants (id, client_id, user_id, scopes, authenticated_at, methods, expires_at) SELECT "  # noqa: S608 - of constants
        f"md5('{prefix}' || n)::uuid, '{CLIENT}', u.id, '{{items:read,offline_access}}', now(), "
        f"'{{pwd}}', now() + interval '1 day' FROM generate_series(1, {REFRESHED}) n "
        f"JOIN (SELECT id, row_number() OVER () AS place FROM users) u ON u.place = n % {PEOPLE} + 1",
        "INSERT INTO refresh_tokens (token_hash, grant_id, expires_at) SELECT "  # noqa: S608 - of constants
        f"sha256(convert_to('{prefix}-' || n, 'UTF8')), md5('{prefix}' || n)::uuid, now() + interval '1 day' "
        f"FROM generate_series(1, {REFRESHED}) n",
        "ANALYZE",
    )
    return [f"{prefix}-{number}" for number in range(1, REFRESHED + 1)]


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
        "FORMAT": "opaque" if what == "introspect" else "jwt",
        "REFRESH_TOKENS": str(REFRESHED if what == "refresh" else 0),
    }
    with process(command, env=env) as peer:
        if what == "refresh":
            yield refreshing("oidc-provider", peer, (peer.folder / "refresh-tokens").read_text().split()).measure
        else:
            yield asked("oidc-provider", what, peer).measure


def refreshing(side: str, server: Running, tokens: list[str]) -> Target:
    """Ask for the successor of each of these refresh tokens."""
    bodies = (f"grant_type=refresh_token&refresh_token={token}".encode() for token in tokens)
    requests = tuple(Request(PATHS[side][0], "POST", FORM, body) for body in bodies)
    return Target(
        server.port, server.pids, requests, connections=16, once=True, body=lambda body: b'"refresh_token"' in body
    )


def asked(side: str, what: str, server: Running) -> Target:
    """Ask for tokens, or what one says that was asked for before."""
    token, introspect = PATHS[side]
    request = Request(token, "POST", FORM, GRANT)
    if what == "introspect":
        request = Request(introspect, "POST", FORM, f"token={new_token(server.port, request)}".encode())
    wanted = b'"access_token"' if what == "token" else b'"active":true'
    return Target(
        server.port, server.pids, (request,), connections=16, body=lambda body: wanted in body.replace(b": ", b":")
    )


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
        short=True,
        rounds=4,
        notes=(note, "one core each: Node's one thread, and auth's one process"),
        needs={"wrk": "wrk"},
    )
    for what, asks, note in (
        (
            "token",
            "How many tokens are given out to a client with its secret, beside oidc-provider?",
            (
                "both sign RS256 with 2048 bits and read the client from Postgres, and the other does no more; auth"
                " locks it, writes its audit log in that transaction, and asks Redis how often it was refused"
            ),
        ),
        (
            "refresh",
            "And how many refresh tokens are exchanged for their successors?",
            "both mark the old token, keep a new one and sign an access token; auth also writes its audit log",
        ),
        (
            "introspect",
            "And how often is a token introspected?",
            "oidc-provider looks an opaque token up in Postgres; auth checks a JWT and whether it was revoked",
        ),
    )
)

"""Items beside what a team would write first, and its cache beside none."""

import json
import secrets
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import redis
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.bench.gateway import named
from tests.bench.load import Request, Target
from tests.bench.questions import Bound, Figures, InvalidRunError, Measure, Question, Ratio
from tests.bench.runner import ROOT
from tests.bench.servers import Running, service, uvicorn
from tests.support.databases import execute, with_database
from tests.support.servers import postgres_server, redis_server
from tests.support.tokens import AUDIENCE, ISSUER, Issuer, key_server

OWNER = "018f0000-0000-7000-8000-000000000001"
ROWS = 10_000
READ = 500
"""Items that are read in turn."""
NEARLY = 0.05
SECRET = secrets.token_hex(32)
NEW = json.dumps({"name": "lamp", "description": "warm light", "price_minor": 4900, "currency": "EUR"}).encode()
JSON = {"Content-Type": "application/json"}
COLUMNS = "name, description, price_minor, currency, created_at, updated_at"
ROW = "'lamp ' || n, repeat('warm light ', 10), n, 'EUR', now() - n * interval '1 second', now()"
ID = "('018f0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"


@dataclass(frozen=True)
class Stores:
    """The same rows in the tables of both, a cache, and tokens that each believes."""

    postgres: str
    redis: str
    keys: str
    ours: dict[str, str]
    theirs: dict[str, str]
    postgres_pid: int


@contextmanager
def stores(rows: int = ROWS) -> Generator[Stores]:
    """Postgres and Redis on the client's cores."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        cache = stack.enter_context(redis_server())
        issuer = Issuer()
        keys = stack.enter_context(key_server(issuer))
        theirs = jwt.encode({"alg": "HS256"}, {"sub": OWNER}, OctKey.import_key(SECRET))
        found = Stores(
            postgres.url,
            cache.url,
            keys.url,
            {**issuer.headers(sub=OWNER), **JSON},
            {"Authorization": f"Bearer {theirs}", **JSON},
            postgres.process.pid if postgres.process else 0,
        )
        execute(postgres.url, "CREATE DATABASE items", "CREATE DATABASE template")
        run_python("-m", "services.items", "migrate", DATABASE_URL=with_database(postgres.url, "items"))
        template = with_database(postgres.url, "template")
        create = "from tests.bench.apps.template import *; SQLModel.metadata.create_all(engine)"
        run_python("-c", create, DATABASE_URL=template, SECRET=SECRET)
        execute(
            with_database(postgres.url, "items"),
            insert(1, rows),
            "VACUUM ANALYZE",
        )
        execute(
            template,
            'INSERT INTO "user" (id, email, is_active, is_superuser, hashed_password) '  # noqa: S608 - of constants
            f"VALUES ('{OWNER}', 'a@example.com', true, false, '')",
            f"INSERT INTO item (id, owner_id, {COLUMNS}) "  # noqa: S608 - of constants
            f"SELECT {ID}, '{OWNER}', {ROW} FROM generate_series(1, {rows}) n",
            "VACUUM ANALYZE",
        )
        yield found


def insert(first: int, last: int) -> str:
    """The statement that makes the rows of these numbers."""
    return (
        f"INSERT INTO items (id, owner, {COLUMNS}) "  # noqa: S608 - of constants
        f"SELECT {ID}, '{OWNER}', {ROW} FROM generate_series({first}, {last}) n"
    )


def identifier(number: int) -> uuid.UUID:
    """The id of the row of a number."""
    return uuid.UUID(int=uuid.UUID(OWNER).int - 1 + number)


def run_python(*words: str, **env: str) -> None:
    """Run a command of the services to its end. Raises InvalidRunError with the end of what it said."""
    done = subprocess.run(
        [sys.executable, *words],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise InvalidRunError(f"{' '.join(words)} failed: {(done.stdout + done.stderr)[-1000:]}")


def asked(what: str, headers: dict[str, str]) -> tuple[Request, ...]:
    """Reads of many items in turn, the first page, or a create."""
    if what == "read":
        ids = map(identifier, range(1, READ + 1))
        return tuple(Request(f"/v1/items/{item}", headers=headers) for item in ids)
    if what == "list":
        return (Request("/v1/items?limit=20", headers=headers),)
    return (Request("/v1/items", "POST", headers, NEW),)


@contextmanager
def running(around: Stores, module: str = "services.items", **env: str) -> Generator[Running]:
    """Items as they run in production, but for the access log, which the others do not write either."""
    settings = {
        "DATABASE_URL": with_database(around.postgres, "items"),
        "CACHE_URL": around.redis,
        "ISSUER": ISSUER,
        "AUDIENCE": AUDIENCE,
        "JWKS_URL": around.keys,
        "CURSOR_KEY": SECRET,
        "LOG_LEVEL": "WARNING",
        **env,
    }
    with redis.Redis.from_url(around.redis) as cache:
        cache.flushdb()  # what another side kept there would be this one's hits
    with service(module, settings) as process:
        yield process


@contextmanager
def slipway_target(
    around: Stores, *, what: str, module: str = "services.items", connections: int = 32, **env: str
) -> Generator[tuple[Target, int]]:
    """Items, what to ask them, and their management port."""
    with running(around, module, **env) as process:
        status = 201 if what == "create" else 200
        requests = asked(what, around.ours)
        yield Target(process.port, process.pids, requests, status, connections), process.management


@contextmanager
def slipway(around: Stores, *, hits: float | None = None, **options: Any) -> Generator[Measure]:
    """Items, measured. `hits` is which share of the reads must come from the cache."""
    with slipway_target(around, **options) as (target, management):

        def measure(seconds: float) -> Figures:
            if hits is None or not seconds:
                return target.measure(seconds)
            target.ask_each()
            before = cache_results(management)
            figures = target.measure(seconds)
            check_hits(before, cache_results(management), hits)
            return figures

        yield measure


def cache_results(management: int) -> Counter[str]:
    """How many reads the cache has answered with what."""
    counted: Counter[str] = Counter()
    for line in httpx2.get(f"http://127.0.0.1:{management}/metrics", timeout=10).text.splitlines():
        if line.startswith("items_cache_requests_total{"):
            result, _, count = line.partition('result="')[2].partition('"} ')
            counted[result] = int(float(count))
    return counted


def check_hits(before: Counter[str], after: Counter[str], wanted: float) -> None:
    """Raise InvalidRunError unless nearly that share of the reads in between came from the cache."""
    counted = after - before
    share = counted["hit"] / max(1, counted.total())
    if abs(share - wanted) > NEARLY:
        raise InvalidRunError(f"{share:.0%} of the reads came from the cache, not {wanted:.0%}: {dict(counted)}")


@contextmanager
def beside(around: Stores, *, what: str, app: str) -> Generator[Measure]:
    """Another application over the same rows."""
    env = {"DATABASE_URL": with_database(around.postgres, "template"), "SECRET": SECRET}
    with uvicorn(app, env=env) as process:
        status = 201 if what == "create" else 200
        yield Target(process.port, process.pids, asked(what, around.theirs), status=status).measure


OURS, TEMPLATE, ASYNC = "items", "the template's way", "FastAPI + async ORM"
APPS = {TEMPLATE: "tests.bench.apps.template:app", ASYNC: "tests.bench.apps.async_orm:app"}
NEEDS = {"wrk": "wrk"}
GOALS = {"read": 6.0, "list": 4.0, "create": None}
ASKS = {
    "read": "How quickly is one item read by its owner, from a warm cache, beside the template's way?",
    "list": "And the first page of twenty, of 10,000 rows?",
    "create": "And how quickly is one created?",
}

PEERS = tuple(
    Question(
        name=f"items-{what}",
        group="items",
        asks=asks,
        environment=stores,
        sides={OURS: named(slipway, what=what)}
        | {name: named(beside, what=what, app=app) for name, app in APPS.items()},
        ratios=(Ratio(OURS, TEMPLATE, goal=GOALS[what]), Ratio(OURS, ASYNC)),
        short=True,
        rounds=4,
        notes=(
            "the others check an HS256 token and look the user up; items checks an RS256 token and no user",
            "one token asks throughout, of which items computes the signature once and asks the rest each time",
            "no side writes an access log; only items counts metrics, bounds bodies and sends an entity tag",
            *(("the template counts all rows of a list; items' lists give a cursor",) if what == "list" else ()),
        ),
        needs=NEEDS,
    )
    for what, asks in ASKS.items()
)

HIT, MISS, NONE = "hit", "miss", "no cache"
CACHES: dict[str, dict[str, Any]] = {
    HIT: {"hits": 1, "CACHE_SOFT_LIFETIME_SECONDS": "3000", "CACHE_HARD_LIFETIME_SECONDS": "3000"},
    MISS: {"hits": 0, "CACHE_SOFT_LIFETIME_SECONDS": "0.005", "CACHE_HARD_LIFETIME_SECONDS": "0.005"},
    NONE: {"module": "tests.bench.apps.uncached"},
}
CACHE = tuple(
    Question(
        name=name,
        group="claims",
        asks=asks,
        environment=stores,
        sides={
            side: named(slipway, what="read", connections=connections, **settings) for side, settings in CACHES.items()
        },
        ratios=(Ratio(HIT, NONE, figure), Ratio(MISS, NONE, figure)),
        bounds=(Bound(HIT, "p50_ms", 2.0),) if connections == 1 else (),
        short=connections == 1,
        rounds=4,
        seconds=2,
        notes=("a miss is an item whose entry ended 5 ms after it was filled", *notes),
        needs=NEEDS,
    )
    for name, asks, connections, figure, notes in (
        (
            "cache-time",
            "Is a cached read answered 'within the millisecond'? One request at a time.",
            1,
            "p50_ms",
            ("with Postgres on the same machine and its rows in memory: a cache saves least here",),
        ),
        ("cache-load", "And how many reads are there with a cache, under full load?", 32, "requests_per_s", ()),
    )
)

LASTING: dict[str, Any] = CACHES[HIT]
LIBRARIES = Question(
    name="caches",
    group="items",
    asks="What does a cached read take with items' own cache, beside cashews and fastapi-cache2?",
    environment=stores,
    sides={OURS: named(slipway, what="read", connections=1, **LASTING)}
    | {
        by: named(slipway, what="read", connections=1, module="tests.bench.apps.cached", BY=by, **LASTING)
        for by in ("cashews", "fastapi-cache2")
    },
    ratios=tuple(Ratio(OURS, by, figure) for figure in ("p50_ms", "cpu_us") for by in ("cashews", "fastapi-cache2")),
    rounds=4,
    seconds=2,
    notes=(
        "all sides are items, with the same token check and the same answer; only the cache is another's",
        "every read is a hit; one request at a time",
        "items' own also leases fills and holds keys for writers, which a hit does not need; the others do neither",
    ),
    needs=NEEDS,
)

QUESTIONS = (*PEERS, *CACHE, LIBRARIES)

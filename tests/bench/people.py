"""`python -m tests.bench.people`: what auth does in a second beside raw Argon2, its memory, and what revoking costs.

One process of auth on a core of its own, wrk on the other; three rounds in turn, and the median of each figure. It
takes about two minutes and prints one line a figure.
"""

import asyncio
import hashlib
import statistics
import subprocess
import sys
import time
import tracemalloc
import uuid
from base64 import b64encode
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import argon2
import httpx2
import redis

from services.common.migrations import migrate
from services.common.revocations import LIFE_SECONDS, STREAM, Presented, Revocation, Revocations, fields
from services.common.settings import MigrationSettings
from tests.bench.load import Request, Target
from tests.bench.machine import cores
from tests.bench.servers import Running, service
from tests.bench.usage import resident_mib
from tests.support.databases import execute, new_database
from tests.support.servers import postgres_server, redis_server

ROUNDS = 3
SECONDS = 8.0
PASSWORD, SECRET = "seven quiet herons wade", "secret-of-a-client"
MANY = "1000000"  # the most that can be counted
THREADS = 2  # PASSWORD_THREADS: as many hash at once
REVOKED = 50_000
ASKED = 200_000
KEYS = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("KEY_ENCRYPTION_KEY", "TOKEN_KEY", "AUDIT_KEY")}
LIMITS = ("SIGN_IN_PER_ACCOUNT", "SIGN_IN_PER_ADDRESS", "SIGN_IN_OVERALL")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RAW = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
import argon2
hasher, seconds = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1), float(sys.argv[1])
known, end = hasher.hash("a"), time.monotonic() + float(sys.argv[1])
def work(_):
    count = 0
    while time.monotonic() < end:
        count += hasher.verify(known, "a")
    return count
with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    print(sum(pool.map(work, range(int(sys.argv[2])))) / seconds)
"""


class _Inputs(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("value"):
            self.values[str(given["name"])] = str(given["value"])


@dataclass(frozen=True)
class Auth:
    """One process of auth, and somebody and something with an account there."""

    running: Running
    email: str

    def target(self, request: Request, status: int) -> Target:
        return Target(self.running.port, self.running.pids, (request,), status=status, connections=8)

    def sign_in(self) -> Request:
        """A right password: form, cookie and token as a browser has them, used again and again."""
        with httpx2.Client(base_url=f"http://127.0.0.1:{self.running.port}") as client:
            page = client.get("/login")
        cookie = "; ".join(line.partition(";")[0] for line in page.headers.get_list("set-cookie"))
        fields_of = _Inputs(page.text).values | {"email": self.email, "password": PASSWORD}
        return Request("/login", "POST", {"Cookie": cookie, **FORM}, urlencode(fields_of).encode())

    @staticmethod
    def token() -> Request:
        """Client credentials."""
        basic = b64encode(f"machine:{SECRET}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", **FORM}
        return Request("/oauth2/token", "POST", headers, b"grant_type=client_credentials")

    def peak_mib(self) -> float:
        """The most memory that it has had."""
        status = Path(f"/proc/{self.running.popen.pid}/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def auth() -> Generator[Auth]:
    """Ready, with OWASP's parameters and no limits in the way."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        url = stack.enter_context(new_database(postgres.url, "bench"))
        state = stack.enter_context(redis_server())
        if asyncio.run(migrate(MigrationSettings(database_url=url), "services.auth.migrations")):
            raise RuntimeError("the database was not migrated")
        email, digest = "ada@slipway.test", hashlib.sha256(SECRET.encode()).hexdigest()
        hashed = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)
        execute(
            url,
            "INSERT INTO users (id, email, name, password_hash) "  # noqa: S608 - of our own words
            f"VALUES ('{uuid.uuid4()}', '{email}', 'Ada', '{hashed}')",
            "INSERT INTO clients (id, name, authentication_method, secret_hash, grant_types, scopes) "  # noqa: S608
            f"VALUES ('machine', 'M', 'client_secret_basic', '\\x{digest}', "
            "'{client_credentials}', '{items:read}')",
        )
        env = {
            "DATABASE_URL": url,
            "STATE_URL": state.url,
            "ISSUER": "https://slipway.test",
            "AUDIENCE": "slipway",
            "PASSWORD_THREADS": str(THREADS),
            "LOG_LEVEL": "WARNING",
            **KEYS,
            **dict.fromkeys(LIMITS, MANY),
        }
        yield Auth(stack.enter_context(service("services.auth", env)), email)


def raw_hashes() -> float:
    """Argon2 alone, a second: the same threads in one process on the same core."""
    command = cores().pinned([sys.executable, "-c", RAW, str(SECONDS), str(THREADS)], {cores().server})
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS + 30)
    return float(done.stdout)


def cost_of_revocations() -> dict[str, float]:
    """Of each live revocation, and of each question whether a token is one of them."""
    until = int(time.time()) + LIFE_SECONDS
    entries = [Revocation("user", str(uuid.uuid4()), number, until) for number in range(REVOKED)]
    token = Presented("somebody", "app", "a session", "a grant", "a token", int(time.time() * 1000))
    empty, known = Revocations(), Revocations()
    tracemalloc.start()
    for entry in entries:
        known.apply(entry._replace(target=str(uuid.UUID(entry.target))))  # a string of its own, as one that was read
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    figures = {"revocation, bytes in each process": held / REVOKED}
    for name, revocations in (("none", empty), (f"{REVOKED}", known)):
        began = time.perf_counter()
        for _ in range(ASKED):
            revocations.refuses(token)
        figures[f"question with {name} known, us"] = (time.perf_counter() - began) / ASKED * 1e6
    with redis_server() as server:
        client = redis.Redis.from_url(server.url)
        pipeline = client.pipeline(transaction=False)
        for entry in entries[:10_000]:
            pipeline.xadd(STREAM, fields(entry))  # type: ignore[arg-type]  # its keys are invariant
        pipeline.execute()
        figures["revocation, bytes in `state`"] = (client.memory_usage(STREAM, samples=0) or 0) / 10_000
        client.close()
    return figures


def main() -> None:
    """Measure and print."""
    with auth() as one:
        rounds: dict[str, list[float]] = {"argon2, hashes/s": [], "sign-ins/s": [], "tokens/s": [], "ratio": []}
        time.sleep(3)
        idle = resident_mib(one.running.pids())
        for _ in range(ROUNDS):
            rounds["argon2, hashes/s"].append(raw_hashes())
            rounds["sign-ins/s"].append(one.target(one.sign_in(), 303).measure(SECONDS)["requests_per_s"])
            rounds["ratio"].append(rounds["sign-ins/s"][-1] / rounds["argon2, hashes/s"][-1])
            rounds["tokens/s"].append(one.target(one.token(), 200).measure(SECONDS)["requests_per_s"])
        memory = {"memory idle, MiB": idle, "memory at most, MiB": one.peak_mib()}
    for name, values in rounds.items():
        print(f"{name:40} {statistics.median(values):10.2f}   ({min(values):.2f} to {max(values):.2f})")
    for name, value in (memory | cost_of_revocations()).items():
        print(f"{name:40} {value:10.2f}")


if __name__ == "__main__":
    main()

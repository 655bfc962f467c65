"""The platform as processes, with exporters and a real Prometheus that scrapes them all and has our rules."""

import hashlib
import json
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import argon2
import httpx2
import yaml

from grafana.prometheus import Prometheus, PrometheusError
from tests.charts.processes import FILES, own, run
from tests.support.databases import execute
from tests.support.processes import ROOT, Process, service_process
from tests.support.prometheus import prometheus_program
from tests.support.servers import free_port, postgres_server, program, redis_server

CLIENT = ("load", "secret-of-the-load-generator")
PERSON = ("ada@slipway.test", "seven quiet herons wade")
SCRAPE_SECONDS = 1
START_SECONDS = 120
RULES = ROOT / "grafana" / "alerts.yaml"
ARGON2 = {"ARGON2_MEMORY_KIB": "7168", "ARGON2_ITERATIONS": "5"}
HASHED = argon2.PasswordHasher(time_cost=5, memory_cost=7168, parallelism=1).hash(PERSON[1])
Target = tuple[str, str, str]
"""Of a scrape: service, pod, host:port."""


@dataclass
class Watched:
    """What runs: where clients come in, and who watches."""

    gateway: Process
    services: Mapping[str, Process]
    prometheus: Prometheus
    prometheus_url: str
    at: float = 0
    """When the load ended, in seconds since 1970: rates are asked of then."""

    @property
    def log(self) -> str:
        """The end of everybody's log."""
        return "\n".join(f"{name}: {process.log[-1500:]}" for name, process in self.services.items())

    def wait(self, condition: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
        """Return once it holds. Raises TimeoutError with the targets as Prometheus sees them, and the logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                seen = [(t["labels"].get("service"), t["health"], t["lastError"]) for t in self.prometheus.targets()]
                raise TimeoutError(f"{what}: not within {seconds} s; targets: {seen}\n{self.log}")
            time.sleep(0.2)


@contextmanager
def watched(folder: Path) -> Generator[Watched]:
    """All of it, scraped."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        cache, state = (stack.enter_context(redis_server("--maxmemory", "64mb", "--appendonly", "yes")) for _ in "12")
        server = postgres.url.removesuffix("/postgres")
        auth = _auth(stack, f"{server}/auth", state.url, postgres.url)
        issuer = auth["ISSUER"]
        port = int(issuer.rpartition(":")[2])
        verifies = {"ISSUER": issuer, "AUDIENCE": "slipway", "STATE_URL": state.url, "LOG_LEVEL": "WARNING"}
        services = {"auth": stack.enter_context(service_process("services.auth", auth))}
        keys = {"JWKS_URL": f"{services['auth'].url}/.well-known/jwks.json"}
        items = {"DATABASE_URL": f"{server}/items", "CACHE_URL": cache.url, "CURSOR_KEY": secrets.token_hex(32)}
        _migrate("items", postgres.url, items)
        services["items"] = stack.enter_context(service_process("services.items", verifies | keys | items))
        routes = {
            path: {"upstream": services["auth"].url, "public": True, "limits": []} for path in ("/oauth2", "/login")
        }
        routes |= {"/.well-known": {"upstream": services["auth"].url, "public": True}}
        routes["/v1/items"] = {"upstream": services["items"].url}
        gateway = {**verifies, **keys, "ROUTES": json.dumps(routes), "PORT": str(port)}
        services["gateway"] = stack.enter_context(service_process("services.gateway", gateway))
        targets = [(name, f"{name}-1", f"127.0.0.1:{process.management_port}") for name, process in services.items()]
        targets += _exporters(stack, folder, postgres.url, {"cache": cache.url, "state": state.url})
        url = stack.enter_context(prometheus_server(folder, targets))
        with Prometheus(url) as prometheus:
            yield Watched(services["gateway"], services, prometheus, url)


def _auth(stack: ExitStack, database: str, state: str, admin: str) -> dict[str, str]:
    """Its settings, with a migrated database in which there are a client, a person, a key, and a first clean."""
    env = {
        **{name: secrets.token_hex(32) for name in ("KEY_ENCRYPTION_KEY", "TOKEN_KEY", "AUDIT_KEY")},
        "ENVIRONMENT": "development",
        "MAILER": "console",
        "LOG_LEVEL": "WARNING",
        "SIGN_IN_PER_ADDRESS": "100000",
        "SIGN_IN_PER_ACCOUNT": "100000",
        "AUDIENCE": "slipway",
        "DATABASE_URL": database,
        "STATE_URL": state,
        "ISSUER": f"http://127.0.0.1:{free_port()}",
        **ARGON2,
    }
    _migrate("auth", admin, env)
    execute(
        database,
        "INSERT INTO clients (id, name, authentication_method, secret_hash, grant_types, scopes) VALUES "  # noqa: S608
        f"('{CLIENT[0]}', 'load', 'client_secret_basic', '\\x{hashlib.sha256(CLIENT[1].encode()).hexdigest()}', "
        "'{client_credentials}', '{items:read,items:write}')",
        "INSERT INTO users (id, email, name, password_hash) "  # noqa: S608
        f"VALUES (gen_random_uuid(), '{PERSON[0]}', 'Ada', '{HASHED}')",
    )
    stack.callback(env.clear)
    _run("auth", env, "clean")
    return env


def _migrate(service: str, admin: str, env: Mapping[str, str]) -> None:
    execute(admin, f"CREATE DATABASE {service}")
    _run(service, env, "migrate")


def _run(service: str, env: Mapping[str, str], *words: str) -> None:
    """One command of a service. Raises RuntimeError with what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}", *words],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LOG_LEVEL": "WARNING", **env},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{service} {words} failed: {done.stdout}{done.stderr}")


def _exporters(stack: ExitStack, folder: Path, postgres: str, redis: Mapping[str, str]) -> list[Target]:
    """Postgres' and both Redis' exporters, as Debian packs them; Postgres' by the login that the chart makes for it."""
    port = free_port()
    source = {"DATA_SOURCE_NAME": f"{_watching(postgres)}?sslmode=disable"}
    words = [program("prometheus-postgres-exporter"), f"--web.listen-address=127.0.0.1:{port}"]
    stack.enter_context(_process(words, folder / "postgres-exporter.log", source))
    targets: list[Target] = [("postgres", "postgres-0", f"127.0.0.1:{port}")]
    for name, url in redis.items():
        port = free_port()
        words = [program("prometheus-redis-exporter"), f"-web.listen-address=127.0.0.1:{port}", f"-redis.addr={url}"]
        stack.enter_context(_process(words, folder / f"{name}-exporter.log"))
        targets.append((name, f"{name}-0", f"127.0.0.1:{port}"))
    return targets


def _watching(postgres: str) -> str:
    """The URL of that login, made by the script of the roles Job. Raises RuntimeError with what it printed."""
    with tempfile.TemporaryDirectory(prefix="slipway-roles-") as name:
        (Path(name) / "monitor-password").write_text("nobody-asks-here")
        env = {
            "ADMIN_URL": postgres, "SERVICES": "", "SLOT": "a", "SECRETS_DIR": str(own(Path(name))), "BUNDLED": "1",
            "MONITOR": "1", "DEADLINE_SECONDS": "30", "QUIET_SECONDS": "1",
        }  # fmt: skip
        done = run(FILES / "roles" / "reconcile.sh", env)
    if done.returncode:
        raise RuntimeError(f"no login for whoever watches: {done.stdout}{done.stderr}")
    return postgres.replace("postgres@", "monitor@")


@contextmanager
def prometheus_server(folder: Path, targets: list[Target], rules: Path = RULES) -> Generator[str]:
    """A Prometheus that scrapes these every second; its URL. Raises TimeoutError with its log."""
    port = free_port()
    config = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": "slipway",
                "static_configs": [
                    {"targets": [address], "labels": {"namespace": "slipway", "service": service, "pod": pod}}
                    for service, pod, address in targets
                ],
            }
        ],
    }
    file, log = folder / "prometheus.yaml", folder / "prometheus.log"
    file.write_text(yaml.safe_dump(config))
    words = [
        str(prometheus_program("prometheus")), f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn", "--enable-feature=exemplar-storage",
    ]  # fmt: skip
    with _process(words, log) as process:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"Prometheus did not start; its log ends:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield url


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/-/ready", timeout=10).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


@contextmanager
def _process(words: list[str], log: Path, env: Mapping[str, str] | None = None) -> Generator["subprocess.Popen[bytes]"]:
    with log.open("wb") as out:
        process = subprocess.Popen(words, env={"PATH": "/usr/bin:/bin", **(env or {})}, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


__all__ = ["CLIENT", "PERSON", "PrometheusError", "Watched", "prometheus_server", "watched"]

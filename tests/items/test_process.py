"""`python -m services.items` with nothing but its variables."""

import secrets
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from pydantic import ValidationError

from services.common.settings import sentences
from services.items.settings import ItemsSettings
from tests.support.clients import ROOT, service_process
from tests.support.servers import execute
from tests.support.tokens import Issuer, KeyServer


def environment(database_url: str, redis_url: str, jwks: KeyServer, issuer: Issuer) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "CACHE_URL": redis_url,
        "ISSUER": issuer.issuer,
        "AUDIENCE": issuer.audience,
        "JWKS_URL": jwks.url,
        "CURSOR_KEY": secrets.token_hex(32),
    }


def command(word: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.items", word],
        env={"PATH": str(Path(sys.executable).parent), **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_migrate_then_serve_then_create_and_read(
    database_url: str, redis_url: str, jwks: KeyServer, issuer: Issuer
) -> None:
    migrated = command("migrate", DATABASE_URL=database_url)
    assert migrated.returncode == 0, migrated.stderr
    head = command("head").stdout.strip()
    rows = execute(database_url, "SELECT revision, status FROM schema_history")[0]
    assert tuple(rows[-1]) == (head, "applied")
    assert {row["status"] for row in rows} == {"applied"}

    with service_process("services.items", environment(database_url, redis_url, jwks, issuer)) as process:
        with httpx2.Client(base_url=process.url, headers=issuer.headers(), timeout=30) as client:
            created = client.post("/v1/items", json={"name": "lamp", "price_minor": 1999, "currency": "EUR"})
            read = client.get(created.headers["location"])
            again = client.get(created.headers["location"])
            deadline = time.monotonic() + 45
            while HIT not in (metrics := httpx2.get(f"{process.management_url}/metrics", timeout=30).text):
                assert time.monotonic() < deadline, metrics
                # where the cache took longer than it may, the item was read without it
                again = client.get(created.headers["location"])
        process.terminate()
        assert process.wait() == 0, process.log
        process_log = process.log

    assert created.status_code == 201, process_log
    assert read.status_code == 200, process_log
    assert read.json() == again.json() == created.json()
    assert 'items_cache_fills_total{result="stored"} 1.0' in metrics
    assert {line.partition(" ")[0].partition("{")[0] for line in metrics.splitlines()} >= METRICS
    assert "database_pool_connections_max 8.0" in metrics
    assert 'token_key_fetches_total{result="fetched"} 1.0' in metrics


HIT = 'items_cache_requests_total{result="hit"} 1.0'
METRICS = {
    "database_pool_connections_max",
    "database_pool_connections_busy",
    "token_key_fetches_total",
    "items_cache_requests_total",
    "items_cache_fills_total",
    "items_cache_invalidations_failed_total",
}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"CURSOR_KEY": ""}, "CURSOR_KEY is not set."),
        ({"CURSOR_KEY": "short"}, "CURSOR_KEY is shorter than 32 characters"),
        ({"CACHE_SOFT_LIFETIME_SECONDS": "90"}, "CACHE_SOFT_LIFETIME_SECONDS must not be longer than"),
        ({"CACHE_HARD_LIFETIME_SECONDS": "0"}, "CACHE_HARD_LIFETIME_SECONDS is wrong: input should be greater than 0"),
        ({"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL must begin with postgresql://"),
        ({"CACHE_URL": "localhost"}, "CACHE_URL must begin with redis://"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence_that_names_it(
    changes: dict[str, str], sentence: str, jwks: KeyServer, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = environment("postgresql://u@127.0.0.1:1/items", "redis://127.0.0.1:1/0", jwks, issuer)
    for name, value in (good | changes).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError) as refused:
        ItemsSettings()

    [said] = sentences(refused.value)
    assert said.startswith(sentence)


def test_serve_ends_with_the_sentences_and_no_stack() -> None:
    ended = command("serve")

    assert ended.returncode == 2
    assert {line.split()[0] for line in ended.stderr.splitlines()} >= {"DATABASE_URL", "CURSOR_KEY", "ISSUER"}
    assert "Traceback" not in ended.stderr

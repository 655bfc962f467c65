"""Wrong settings are refused with a sentence that names the variable and never a secret."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.common.settings import (
    CacheSettings,
    MigrationSettings,
    PostgresSettings,
    ProcessSettings,
    SecretKey,
    ServiceSettings,
    TokenSettings,
    sentences,
    tracing_wanted,
)

POSTGRES = "postgresql://items:s3cr3tpassw0rd@db:5432/items"


class KeySettings(ProcessSettings):
    cursor_key: SecretKey


def refusal(settings: type[ProcessSettings], monkeypatch: pytest.MonkeyPatch, **env: str) -> str:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        settings()
    assert "s3cr3t" not in str(caught.value), "a secret is shown by the exception"
    return " ".join(sentences(caught.value))


def test_settings_need_no_variable_to_serve() -> None:
    settings = ServiceSettings()

    assert (settings.port, settings.management_port, settings.drain_seconds) == (8000, 9000, 0)
    assert settings.environment == "production"


def test_an_absent_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(PostgresSettings, monkeypatch) == "DATABASE_URL is not set."


def test_an_empty_variable_is_an_absent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(PostgresSettings, monkeypatch, DATABASE_URL="") == "DATABASE_URL is not set."


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("PORT", "http", "PORT is wrong: input should be a valid integer"),
        ("PORT", "70000", "PORT is wrong: input should be less than or equal to 65535"),
        ("ENVIRONMENT", "staging", "ENVIRONMENT is wrong: input should be 'production' or 'development'"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL is wrong"),
        ("DRAIN_SECONDS", "-1", "DRAIN_SECONDS is wrong"),
        ("TRUSTED_PROXIES", "10.0.0.0/33", "TRUSTED_PROXIES is not a list of networks"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.0/8,fd00::/8 would be right"),
        ("MANAGEMENT_PORT", "8000", "PORT and MANAGEMENT_PORT are both 8000; they must differ."),
    ],
)
def test_a_wrong_value_is_explained(variable: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why in refusal(ServiceSettings, monkeypatch, **{variable: value})


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql+asyncpg://a:s3cr3t@db/items", "DATABASE_URL must begin with postgresql://"),
        ("postgres://a:s3cr3t@db/items", "DATABASE_URL must begin with postgresql://"),
        ("postgresql://a:s3cr3t@db", "DATABASE_URL names no database"),
        ("postgresql:///items", "DATABASE_URL names no host"),
        ("postgresql://a:s3cr3t@db:port/items", "DATABASE_URL is not a URL"),
        ("postgresql://a:change-me-s3cr3t@db/items", "DATABASE_URL holds a placeholder as its password"),
        ("postgresql://a:postgres@db/items", "DATABASE_URL holds a placeholder as its password"),
        (POSTGRES + "?sslmode=on", "unknown sslmode; one of disable,"),
        (POSTGRES + "?sslmode=verify-full", "sslmode=verify-full without sslrootcert"),
        (POSTGRES + "?sslmode=verify-full&sslrootcert=/nowhere/ca.crt", "/nowhere/ca.crt, which is not a file"),
    ],
)
def test_a_wrong_database_url_is_explained(url: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why in refusal(PostgresSettings, monkeypatch, DATABASE_URL=url)


def test_a_good_database_url_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.touch()
    monkeypatch.setenv("DATABASE_URL", f"{POSTGRES}?sslmode=verify-full&sslrootcert={ca}")

    assert PostgresSettings().database_pool_size == 8


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", POSTGRES)

    assert "s3cr3t" not in repr(PostgresSettings())


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("change-me-change-me-change-me-change-me", "CURSOR_KEY looks like a placeholder"),
        ("<put a s3cr3t here, of 32 characters or more>", "CURSOR_KEY looks like a placeholder"),
        ("s3cr3t", "CURSOR_KEY is shorter than 32 characters"),
    ],
)
def test_a_secret_that_guards_nothing_is_refused(key: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why in refusal(KeySettings, monkeypatch, CURSOR_KEY=key)


def test_a_redis_url_needs_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    why = refusal(CacheSettings, monkeypatch, CACHE_URL="http://:s3cr3t@cache:6379")

    assert why.startswith("CACHE_URL must begin with redis://")


def test_tokens_need_an_address_for_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    why = refusal(TokenSettings, monkeypatch, ISSUER="https://a.example.com", AUDIENCE="slipway")

    assert why.startswith("AUTH_URL or JWKS_URL must be set")


def test_keys_are_found_below_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ISSUER": "https://a.test/", "AUDIENCE": "slipway", "AUTH_URL": "http://auth:8000/"}.items():
        monkeypatch.setenv(name, value)

    settings = TokenSettings()

    assert settings.issuer == "https://a.test/"  # compared to the last character
    assert settings.jwks_address == "http://auth:8000/.well-known/jwks.json"


def test_an_owner_role_that_could_be_sql_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    why = refusal(MigrationSettings, monkeypatch, DATABASE_URL=POSTGRES, DATABASE_OWNER_ROLE='x"; DROP TABLE a')

    assert why.startswith("DATABASE_OWNER_ROLE is wrong")


def test_every_wrong_variable_gets_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    why = refusal(TokenSettings, monkeypatch, ISSUER="nonsense", LOG_LEVEL="LOUD")

    assert "ISSUER must be an absolute" in why
    assert "AUDIENCE is not set" in why
    assert "LOG_LEVEL is wrong" in why


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_follow_the_standard_variables(environ: dict[str, str], wanted: bool) -> None:
    assert tracing_wanted(environ) is wanted

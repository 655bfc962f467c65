"""Settings read once from the environment; a wrong one is refused with a sentence that names it."""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.common.trace_context import SAMPLERS

PLACEHOLDERS = ("change", "replace", "placeholder", "example", "your-", "todo", "xxxx", "<")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")  # those of libpq
COMMON_SECRETS = frozenset({"password", "postgres", "secret", "admin", "test", "none", "null"})


def _split_networks(value: object) -> object:
    """Read '10.0.0.0/8, fd00::/8' (what an environment variable can hold) as networks."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"is not a list of networks: {error}; 10.0.0.0/8,fd00::/8 would be right") from None


def is_placeholder(secret: str) -> bool:
    """Whether a secret looks like the text of an example that nobody replaced."""
    lowered = secret.lower()
    return lowered in COMMON_SECRETS or any(word in lowered for word in PLACEHOLDERS)


def _check_secret_key(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if is_placeholder(secret):
        raise ValueError("looks like a placeholder; a random one, as `openssl rand -hex 32` prints, would be right")
    if len(secret) < 32:  # noqa: PLR2004 - 32 characters of hex are 128 bits, the least worth guarding with
        raise ValueError("is shorter than 32 characters; `openssl rand -hex 32` prints a good one")
    return value


def _check_http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an absolute http:// or https:// URL, such as https://api.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must have no user, password, query or fragment")
    return value


def _check_postgres_url(value: SecretStr) -> SecretStr:
    parts = _server_url(value, ("postgresql",), "postgresql://user:password@host:5432/database")
    if not parts.path.strip("/"):
        raise ValueError("names no database; postgresql://user:password@host:5432/database would be right")
    options = dict(parse_qsl(parts.query))
    mode, ca = options.get("sslmode"), options.get("sslrootcert")
    if mode is not None and mode not in SSL_MODES:
        raise ValueError(f"has an unknown sslmode; one of {', '.join(SSL_MODES)} would be right")
    if mode in {"verify-ca", "verify-full"} and ca is None:
        raise ValueError(f"has sslmode={mode} without sslrootcert=/path/to/ca.crt to verify against")
    if ca is not None and not Path(ca).is_file():
        raise ValueError(f"names sslrootcert={ca}, which is not a file here")
    return value


def _check_redis_url(value: SecretStr) -> SecretStr:
    _server_url(value, ("redis", "rediss"), "redis://:password@host:6379/0")
    return value


def _server_url(value: SecretStr, schemes: tuple[str, ...], right: str) -> SplitResult:
    """Split the URL of a server, refusing what is none. The sentences never quote it: it holds a password."""
    try:
        parts = urlsplit(value.get_secret_value())
        _ = parts.port
    except ValueError:
        raise ValueError(f"is not a URL (a password needs %-encoding); {right} would be right") from None
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with {schemes[0]}://; {right} would be right")
    if not parts.hostname:
        raise ValueError(f"names no host; {right} would be right")
    if is_placeholder(parts.password or ""):
        raise ValueError("holds a placeholder as its password; put the real one")
    return parts


Network = IPv4Network | IPv6Network
Networks = Annotated[
    tuple[Network, ...],
    NoDecode,
    BeforeValidator(_split_networks),
    PlainSerializer(lambda networks: ",".join(map(str, networks)), return_type=str),
]
SecretKey = Annotated[SecretStr, AfterValidator(_check_secret_key)]
HttpUrl = Annotated[str, AfterValidator(_check_http_url)]
BaseUrl = Annotated[HttpUrl, AfterValidator(lambda value: value.rstrip("/"))]
PostgresUrl = Annotated[SecretStr, AfterValidator(_check_postgres_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Port = Annotated[int, Field(ge=0, le=65535)]


class ProcessSettings(BaseSettings):
    """What every command of a service reads. Field names in capitals are the variables."""

    model_config = SettingsConfigDict(hide_input_in_errors=True, frozen=True, env_ignore_empty=True)

    service_name: ClassVar[str] = "service"

    environment: Literal["production", "development"] = "production"
    log_level: LogLevel = "INFO"


class ServiceSettings(ProcessSettings):
    """What `serve` reads: addresses, limits and the times of starting, dying and draining."""

    host: str = "0.0.0.0"  # noqa: S104 - a pod is reached from outside itself
    port: Port = 8000
    management_port: Port = 9000
    drain_seconds: float = Field(default=0, ge=0, le=600)
    shutdown_seconds: float = Field(default=20, gt=0, le=600)
    liveness_seconds: float = Field(default=30, ge=2)  # the heart beats once a second
    max_body_bytes: int = Field(default=1_048_576, gt=0)
    trusted_proxies: Networks = ()
    # finished requests in the log, of what went well and of what was refused each; errors always
    access_log_per_second: int = Field(default=100, ge=0)
    profiling: bool = False  # whether an operator may have a request, or the process, profiled

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.port and self.port == self.management_port:
            raise ValueError(f"PORT and MANAGEMENT_PORT are both {self.port}; they must differ")
        return self


class PostgresSettings(ProcessSettings):
    """How Postgres is reached and how much of it one process may take."""

    database_url: PostgresUrl
    database_pool_size: int = Field(default=8, ge=1, le=100)
    # the start of a pod beside this one, or a burst, takes seconds and passes: who waits meanwhile is served.
    # Nobody waits for a server that the readiness check found away; time-outs of routes are longer
    database_pool_timeout_seconds: float = Field(default=5, gt=0)
    database_statement_timeout_seconds: float = Field(default=5, gt=0)


class MigrationSettings(PostgresSettings):
    """What `migrate` reads: DATABASE_URL is then the login of the role that owns the tables."""

    database_owner_role: str | None = Field(default=None, pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    database_wait_seconds: float = Field(default=120, ge=0)
    database_lock_timeout_seconds: float = Field(default=5, gt=0)


class CacheSettings(ProcessSettings):
    """The Redis that may forget."""

    cache_url: RedisUrl


class StateSettings(ProcessSettings):
    """The Redis that must not forget: limits and revocations."""

    state_url: RedisUrl


class TokenSettings(ProcessSettings):
    """Whose access tokens are believed, and where their keys are published."""

    issuer: HttpUrl  # as its tokens say it: `iss` is compared to the last character (RFC 8414 2)
    audience: str = Field(min_length=1)
    auth_url: BaseUrl | None = None
    jwks_url: HttpUrl | None = None
    state_url: RedisUrl | None = None  # where auth tells what it revoked; another identity provider tells nothing

    @model_validator(mode="after")
    def _keys_have_an_address(self) -> Self:
        if self.auth_url is None and self.jwks_url is None:
            raise ValueError("AUTH_URL or JWKS_URL must be set: tokens cannot be checked without the keys of auth")
        return self

    @property
    def jwks_address(self) -> str:
        """Where the key set is fetched: JWKS_URL, or the well-known path of AUTH_URL."""
        return self.jwks_url or f"{self.auth_url}/.well-known/jwks.json"


def tracing_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard OTEL_* variables ask for traces; the SDK reads the rest of them by itself."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def wrong_tracing(environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each OTEL_* variable that asks for what is not in the image."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if exporter not in {"otlp", "none"}:
        return [f"OTEL_TRACES_EXPORTER={exporter} is not offered; otlp or none would be right."]
    if not tracing_wanted(environ):
        return []
    return [
        f"{name}={environ[name]} is not offered; http/protobuf would be right."
        for name in ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        if environ.get(name, "").strip() not in {"", "http/protobuf"}
    ] + _wrong_sampler(environ)


def _wrong_sampler(environ: Mapping[str, str]) -> list[str]:
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").strip()
    if sampler and sampler not in SAMPLERS:
        return [f"OTEL_TRACES_SAMPLER={sampler} is not offered; one of {', '.join(SAMPLERS)} would be right."]
    ratio = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    try:
        right = not ratio or 0 <= float(ratio) <= 1
    except ValueError:
        right = False
    return [] if right else [f"OTEL_TRACES_SAMPLER_ARG={ratio} is not offered; a share such as 0.01 would be right."]


def sentences(error: ValidationError) -> list[str]:
    """One sentence for each wrong variable, naming it in capitals and never its value."""
    return [_sentence(str(e["loc"][0]).upper() if e["loc"] else "", e["type"], e["msg"]) for e in error.errors()]


def _sentence(variable: str, kind: str, message: str) -> str:
    text = message.removeprefix("Value error, ")
    if not variable:
        return f"{text}."
    if kind == "missing":
        return f"{variable} is not set."
    if kind == "value_error":
        return f"{variable} {text}."
    return f"{variable} is wrong: {text[:1].lower()}{text[1:]}."

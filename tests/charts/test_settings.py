"""The chart's variables and the fields of the settings classes are the same, both ways."""

import base64
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from services.auth.settings import AuthSettings, CommandSettings
from services.common.settings import MigrationSettings, ServiceSettings, TokenSettings
from services.gateway.settings import GatewaySettings
from tests.charts.chart import Chart, Manifest, Objects, containers
from tests.charts.conftest import environment
from tests.charts.test_docs import PROVIDER

TRACED: dict[str, Any] = {"tracing": {"endpoint": "http://collector:4318", "peers": [{"podSelector": {}}]}}
FIXED = {"HOST", "PORT", "MANAGEMENT_PORT", "ROUTES"}
"""The chart's ports are what the defaults say: another one would leave the probes alone with it. Routes are a file."""
LEFT_TO_ENV = {
    "LIVENESS_SECONDS", "MAX_BODY_BYTES", "ACCESS_LOG_PER_SECOND", "PROFILING",
    "DATABASE_POOL_TIMEOUT_SECONDS", "DATABASE_STATEMENT_TIMEOUT_SECONDS",
    "CACHE_SOFT_LIFETIME_SECONDS", "CACHE_HARD_LIFETIME_SECONDS", "DATABASE_LOCK_TIMEOUT_SECONDS",
    "PREVIOUS_KEY_ENCRYPTION_KEY", "KEY_SIGNING_SECONDS", "KEY_PUBLISH_SECONDS", "ACCESS_TOKEN_SECONDS",
    "ID_TOKEN_SECONDS", "CODE_SECONDS", "REFRESH_TOKEN_SECONDS", "REFRESH_RETRY_SECONDS", "GRANT_SECONDS",
    "SESSION_SECONDS", "SESSION_IDLE_SECONDS", "AUDIT_RETENTION_DAYS", "ENDED_RETENTION_DAYS",
    "ARGON2_MEMORY_KIB", "ARGON2_ITERATIONS", "ARGON2_PARALLELISM", "PASSWORD_THREADS", "PASSWORD_QUEUE",
    "SIGN_IN_PER_ACCOUNT", "SIGN_IN_PER_ADDRESS", "SIGN_IN_OVERALL",
    "SECOND_FACTOR_PER_ACCOUNT", "MAILS_PER_RECIPIENT", "MAILS_PER_ADDRESS",
    "MAX_REQUESTS_IN_FLIGHT", "MAX_STREAMS", "CONNECT_TIMEOUT_SECONDS", "IDLE_TIMEOUT_SECONDS", "RESOLVE_SECONDS",
    "SLOW_START_SECONDS", "TOKEN_CACHE_SIZE", "DOCUMENTS_SECONDS", "CORS_ORIGINS",
}  # fmt: skip
"""With a default that suits every cluster; `services.<name>.env` changes one."""
READ_BY_OPENTELEMETRY = {
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
}  # fmt: skip


@pytest.fixture(scope="session", params=["dev", "production"])
def traced(chart: Chart, request: pytest.FixtureRequest) -> Objects:
    """An environment with traces on."""
    return chart.render(environment(request.param), TRACED)


def environ(objects: Objects, container: Manifest) -> dict[str, str]:
    """The variables as the process sees them, Secrets looked up."""
    result = {}
    for variable in container["env"]:
        if "value" in variable:
            result[variable["name"]] = variable["value"]
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            if secret := objects.kind("Secret").get(reference["name"]):  # else it is not the chart's
                result[variable["name"]] = base64.b64decode(secret["data"][reference["key"]]).decode()
    return result


COMMANDS = {"auth": CommandSettings}
"""What a service's commands read: a part of what its serving pods are given."""


def settings_of(service: str) -> type[ServiceSettings]:
    """The settings class that `services/<service>/settings.py` defines: the last part of the image's repository."""
    module = importlib.import_module(f"services.{service}.settings")
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value.__module__ == module.__name__
    ]
    assert len(own) == 1, f"{module.__name__} defines {len(own)} settings classes of a service, one would be right"
    return own[0]


def processes(objects: Objects) -> list[tuple[type[BaseSettings], dict[str, str]]]:
    """Settings class and environment of every process of a service."""
    found: list[tuple[type[BaseSettings], dict[str, str]]] = []
    for owner, pod in objects.pods():
        for container in containers(pod):
            repository = container["image"].rsplit("/", 1)[1].split(":")[0]
            command = next(iter(container.get("args", [])), "")
            if owner.startswith(("CronJob/", "Job/")) and command not in {"", "migrate"} and repository in COMMANDS:
                found.append((COMMANDS[repository], environ(objects, container)))
            match container.get("args"):
                case ["migrate"]:
                    found.append((MigrationSettings, environ(objects, container)))
                case ["serve", *_]:
                    found.append((settings_of(repository), environ(objects, container)))
    return found


def fields(settings: type[BaseSettings]) -> set[str]:
    """The variables that the class reads."""
    return {name.upper() for name in settings.model_fields}


def test_the_processes_of_every_service_are_found(dev: Objects) -> None:
    assert sorted(settings.__name__ for settings, _ in processes(dev)) == [
        "AuthSettings",
        "CommandSettings",
        "CommandSettings",
        "CommandSettings",
        "GatewaySettings",
        "ItemsSettings",
        "MigrationSettings",
        "MigrationSettings",
    ]


def test_every_variable_of_the_chart_is_read_by_somebody(traced: Objects) -> None:
    for settings, env in processes(traced):
        known = fields(settings) | (fields(AuthSettings) if settings is CommandSettings else set())
        assert env.keys() - known <= READ_BY_OPENTELEMETRY, settings.__name__


def test_every_field_without_a_default_is_set_by_the_chart(traced: Objects) -> None:
    for settings, env in processes(traced):
        required = {name.upper() for name, field in settings.model_fields.items() if field.is_required()}
        assert required <= env.keys(), settings.__name__


def test_every_other_field_is_set_too_or_listed_here(chart: Chart) -> None:
    seen: dict[type[BaseSettings], set[str]] = {}
    for name in ("dev", "production"):
        password = {"mail": {"existingSecret": "", "password": "smtp-secret-value"}}
        for settings, env in [
            *processes(chart.render(environment(name), password)),
            *processes(chart.render(environment(name), PROVIDER)),
        ]:
            seen.setdefault(settings, set()).update(env)

    for settings, variables in seen.items():
        left = fields(settings) - variables - LEFT_TO_ENV - FIXED
        if settings is MigrationSettings:
            # one connection; and another level in the log is no reason to run again
            left -= {"DATABASE_POOL_SIZE", "LOG_LEVEL"}
        assert left == set(), settings.__name__


def test_what_is_listed_exists_and_is_not_set_by_the_chart(dev: Objects) -> None:
    known = {name for settings, _ in processes(dev) for name in fields(settings)}
    set_by_chart = {name for _, env in processes(dev) for name in env}

    assert known >= LEFT_TO_ENV | FIXED
    assert set_by_chart.isdisjoint(LEFT_TO_ENV | FIXED)


def mounted(objects: Objects, folder: Path) -> dict[str, str]:
    """Where the files of the ConfigMap that a pod of the gateway finds are now, by where it finds them."""
    for name, text in objects.one("ConfigMap", "slipway-gateway")["data"].items():
        (folder / name).write_text(text)
    return {f"/files/{name}": str(folder / name) for name in objects.one("ConfigMap", "slipway-gateway")["data"]}


def test_the_settings_accept_what_the_chart_says(
    traced: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = mounted(traced, tmp_path)
    for settings, env in processes(traced):
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, files.get(value, value))

            read = settings().model_dump(mode="json")

        assert str(read["log_level"]) == env.get("LOG_LEVEL", "INFO")
        assert read["environment"] == env["ENVIRONMENT"]


def test_the_settings_accept_everything_that_the_chart_can_say(
    chart: Chart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = chart.render(environment("everything"))
    (tmp_path / "ca.crt").touch()
    (tmp_path / "root.crt").touch()
    files = mounted(rendered, tmp_path)
    urls: dict[str, str] = {}

    of_items = Objects(o for o in rendered if "worker" not in o["metadata"]["name"])  # of which there is no code
    for settings, env in processes(of_items):
        urls |= {name: value for name, value in env.items() if name in {"CACHE_URL", "DATABASE_URL"}}
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, files.get(value) or re.sub(r"=/ca/\w+/", f"={tmp_path}/", value))
            read = settings()
        if isinstance(read, GatewaySettings):
            assert (read.cors_origins, read.hsts_seconds) == (("https://app.example.com",), 300)
        if isinstance(read, TokenSettings):
            assert read.jwks_address == "https://id.example.com/jwks.json"

    assert urls["DATABASE_URL"].endswith("?sslmode=verify-full&sslrootcert=/ca/postgres/ca.crt")
    assert urls["CACHE_URL"].endswith("?ssl_ca_certs=/ca/cache/ca.crt")


def test_the_issuer_is_handed_on_to_the_letter(chart: Chart) -> None:
    # a trailing slash belongs to it: `iss` is compared as a string
    rendered = chart.render(environment("production"), "tokens.issuer=https://id.example.com/")
    issuers = {settings.__name__: env["ISSUER"] for settings, env in processes(rendered) if "ISSUER" in env}

    assert issuers.keys() >= {"ItemsSettings", "AuthSettings", "GatewaySettings"}
    assert set(issuers.values()) == {"https://id.example.com/"}


def test_ports_of_the_chart_are_those_of_the_settings(dev: Objects) -> None:
    for deployment in dev.kind("Deployment").values():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {
            "http": ServiceSettings.model_fields["port"].default,
            "management": ServiceSettings.model_fields["management_port"].default,
        }


@pytest.mark.parametrize(("trusted", "outside"), [(False, "traceidratio"), (True, "parentbased_traceidratio")])
def test_callers_from_outside_decide_what_is_recorded_only_where_the_values_say(
    chart: Chart, trusted: bool, outside: str
) -> None:
    values = {"tracing": TRACED["tracing"] | {"trustCallers": trusted}}

    objects = chart.render(environment("dev"), values)

    samplers = {
        name: environ(objects, containers(objects.one("Deployment", f"slipway-{name}")["spec"]["template"])[0])[
            "OTEL_TRACES_SAMPLER"
        ]
        for name in ("gateway", "items", "auth")
    }
    assert samplers == {
        "gateway": outside,
        "items": "parentbased_traceidratio",
        "auth": "parentbased_traceidratio",
    }

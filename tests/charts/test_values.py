"""What values the chart takes, and the sentences with which it refuses the others."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.charts.chart import CHART, ENVIRONMENTS, EVERYTHING, Chart, Refused, merge, nested
from tests.charts.conftest import environment

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
OPEN = {"/$defs/affinity"}
"""Kubernetes' own shapes, which the API server checks better than a copy of them here."""

WITHOUT_AUTH = {"auth": None, "gateway": {"calls": ["items"]}}
OUTSIDE = {
    "postgres.deploy": False,
    "postgres.host": "db.example.com",
    "postgres.peers": [{"ipBlock": {"cidr": "203.0.113.5/32"}}],
}

SMTP = {
    "mail.mailer": "smtp",
    "mail.host": "smtp.example.com",
    "mail.from": "a@example.com",
    "mail.peers": [{"ipBlock": {"cidr": "203.0.113.25/32"}}],
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or what it refers to."""
    return SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def schema_paths(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """`postgres.image.tag` for every key that the schema knows, down to lists and free maps."""
    for key, value in resolved(schema).get("properties", {}).items():
        yield f"{path}{key}"
        yield from schema_paths(value, f"{path}{key}.")


def value_paths(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The same for every key that the values set."""
    known = resolved(schema).get("properties", {})
    for key, value in values.items():
        if key in known:
            yield f"{path}{key}"
            if isinstance(value, dict):
                yield from value_paths(value, known[key], f"{path}{key}.")


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of the schema that describes an object, with its place."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for key, value in schema.items():
            yield from objects(value, f"{path}/{key}")


def test_values_and_schema_know_the_same_keys() -> None:
    # the requests and limits of the defaults name only what they set
    unset = {path for path in schema_paths(SCHEMA) if path.split(".")[-1] in {"cpu", "memory", "ephemeral-storage"}}

    assert set(schema_paths(SCHEMA)) - unset == set(value_paths(VALUES, SCHEMA)) - unset


def test_the_file_with_everything_on_sets_every_key() -> None:
    everything = yaml.safe_load(EVERYTHING.read_text())
    optional = {path for path in schema_paths(SCHEMA) if path.endswith(".ephemeral-storage")}

    assert set(schema_paths(SCHEMA)) - optional <= set(value_paths(everything, SCHEMA))


def test_the_schema_is_closed_everywhere() -> None:
    for path, part in objects(SCHEMA):
        assert part.get("additionalProperties", True) is not True or path in OPEN, path


def test_environments_only_say_what_differs() -> None:
    for file in ENVIRONMENTS.glob("*.yaml"):
        for path, value in leaves(yaml.safe_load(file.read_text())):
            assert (path, value) not in set(leaves(VALUES)), f"{file.name}: {path}"


def leaves(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, value as text) of everything that is no map."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", str(value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replicas", 1),
        ("postgres.hots", "db"),
        ("global.image.repository", "x"),
        ("defaults.replica", 1),
        ("services.items.replica", 1),
        ("services.items.autoscaling.max", 3),
        ("networkPolicies.keda.podLabels", {}),
        ("services.items.database.pool", 3),
        ("services.items.image.registry", "x"),
        ("services.items.secretEnv.CURSOR_KEY.secret", "x"),
        ("networkPolicies.dns.port", 53),
        ("ingress.host", "x"),
        ("mail.sender", "x"),
        ("services.auth.crons.keys.command", []),
        ("services.items.routes./v1/items.timeout", 5),
        ("gatewayApi.parentRef", []),
    ],
)
def test_an_unknown_key_is_refused_by_name(chart: Chart, path: str, value: object) -> None:
    where, key = path.rsplit(".", 1) if "." in path else ("", path)

    sentence = refusal(chart, nested(path, value))

    place = where.replace("/", "~1").replace(".", "/")  # RFC 6901
    assert f"at '/{place}'" in sentence.replace("at ''", "at '/'")
    assert f"additional properties '{key}' not allowed" in sentence


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("services.items.migrate", "yes", "at '/services/items/migrate': got string, want boolean"),
        ("services.items.uses", ["mysql"], "value must be one of 'postgres', 'cache', 'state'"),
        ("services.items.tokens", "verfy", "at '/services/items/tokens': value must be one of"),
        ("services.items.autoscaling.driver", "vpa", "at '/services/items/autoscaling/driver'"),
        ("services.items.autoscaling.targetRequestsInFlight", -1, "at '/services/items/autoscaling/targetRequests"),
        ("services.items.autoscaling.prometheusUrl", "prometheus:9090", "at '/services/items/autoscaling/prometheus"),
        ("services.items.autoscaling.minReplicas", 0, "at '/services/items/autoscaling/minReplicas'"),
        ("services.items.env", {"LOG": 5}, "at '/services/items/env/LOG': got number, want string"),
        ("services.items.env", {"log-level": "x"}, "env': additional properties 'log-level' not allowed"),
        ("services.items.egress", [{"ports": [{"port": 443}]}], "missing property 'to'"),
        ("services.items.egress", [{"to": []}], "at '/services/items/egress/0/to'"),
        ("services.items.paths", ["v1/items"], "at '/services/items/paths/0'"),
        ("services.items.image.digest", "sha256:abc", "at '/services/items/image/digest'"),
        ("services.items.drainSeconds", -1, "at '/services/items/drainSeconds'"),
        ("services.auth.crons.keys.schedule", "hourly", "at '/services/auth/crons/keys/schedule'"),
        ("services.auth.crons", {"a-long-name": {}}, "at '/services/auth/crons': additional properties 'a-long-name'"),
        ("services.auth.once", {"too-long": {"args": ["x"]}}, "at '/services/auth/once': additional properties 'too-"),
        ("services.auth.once", {"x": {}}, "at '/services/auth/once/x': missing property 'args'"),
        ("services.auth.crons", {"x": {"schedule": "* * * * *"}}, "missing property 'args'"),
        ("mail.mailer", "sendmail", "at '/mail/mailer'"),
        ("mail.from", "Slipway", "at '/mail/from'"),
        ("services.Items", {}, "at '/services': additional properties 'Items' not allowed"),
        ("services.much-too-long-for-a-name", {}, "at '/services': additional properties"),
        ("cache.password", "it's", "at '/cache/password'"),
        ("cache.password", "short", "at '/cache/password'"),
        ("cache.maxMemory", "128MiB", "at '/cache/maxMemory'"),
        ("cache.url", "http://cache", "at '/cache/url'"),
        ("postgres.rotation", "one", "at '/postgres/rotation'"),
        ("postgres.parameters", {"max_connections": "5"}, "max_connections: the chart sets this one itself"),
        ("environment", "staging", "at '/environment'"),
        ("trustedProxies", ["10.0.0.1"], "at '/trustedProxies/0'"),
        ("tracing.ratio", "2", "at '/tracing/ratio'"),
        ("clusterDomain", "cluster.local.", "at '/clusterDomain'"),
        ("gatewayApi.parentRefs", [{"namespace": "edge"}], "at '/gatewayApi/parentRefs/0': missing property 'name'"),
    ],
)
def test_an_impossible_value_is_refused_with_its_place(chart: Chart, path: str, value: object, sentence: str) -> None:
    assert sentence in refusal(chart, nested(path, value))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"origin": ""}, 'origin is "": set the public address'),
        ({"origin": "http://slipway.example.com"}, "origin is"),
        ({"origin": "https://slipway.example.com/api"}, "origin is"),
        ({"environment": "production"}, "mail.mailer is console, which writes codes that open accounts to the log"),
        ({"environment": "production", "mail.mailer": "none", "services.items.reload": True},
         "services.items.reload is true, which needs environment: development"),
        ({"mail.mailer": "smtp", "mail.from": "a@example.com"}, "mail.mailer is smtp and mail.host is empty"),
        ({"mail.mailer": "smtp", "mail.host": "smtp.example.com"}, "mail.mailer is smtp and mail.from is empty"),
        (SMTP | {"mail.peers": []}, "mail.mailer is smtp and mail.peers is empty: say where the server is"),
        (SMTP | {"environment": "production", "mail.tls": "none"}, "mail.tls is none, which sends codes that open"),
        (SMTP | {"mail.user": "slipway"}, "mail.user is set, so a password is needed: set mail.password or"),
        (SMTP | {"mail.password": "a", "mail.existingSecret": "b"}, "mail.password and mail.existingSecret exclude"),
        ({"services.auth.secretEnv.SMTP_PASSWORD": {"value": "x"}}, "services.auth.secretEnv.SMTP_PASSWORD: the chart"),
        ({"services.auth.env.MAILER": "none"}, "services.auth.env.MAILER: the chart sets this variable itself"),
        ({"services.auth-clean": {}}, "services.auth.crons.clean: there is a service auth-clean, and both would have"),
        ({"services.auth.once.migrate": {"args": ["x"]}}, "services.auth.once.migrate: there is a Job of that name"),
        ({"services.auth-cron": {}}, "services.auth-cron: names that end in -migrate, -database, -cron, -pods or"),
        ({"services.items.calls": ["auht"]}, "there is no service auht; there are auth, gateway, items."),
        ({"services.items.calls": ["auth", "items"]}, "services.items.calls: a service does not call itself"),
        ({"tokens.jwksUrl": "https://id.example.com"}, "services.auth.tokens is issue: nobody would"),
        ({"tokens.jwksUrl": "https://id.example.com", "services.auth": None, "services.gateway.calls": ["items"]},
         "tokens.peers is empty: say where the keys are, or the network"),
        ({"services.gateway": None}, "ingress.enabled is true and no service is public"),
        ({"services.gateway": None, "ingress.enabled": False, "gatewayApi.enabled": True,
          "gatewayApi.parentRefs": [{"name": "edge"}]}, "gatewayApi.enabled is true and no service is public"),
        ({"gatewayApi.enabled": True}, "gatewayApi.enabled is true and gatewayApi.parentRefs is empty"),
        ({"gatewayApi.enabled": True, "gatewayApi.parentRefs": [{"name": "edge"}]}, "gatewayApi.namespaces is empty"),
        ({"services.items.uses": ["cache"]}, "services.items.migrate is true but postgres is not among"),
        ({"services.items.autoscaling.minReplicas": 4}, "minReplicas is 4, more than maxReplicas, 3"),
        ({"services.items.autoscaling.driver": "keda"},
         "services.items.autoscaling: driver is keda and targetRequestsInFlight is 0"),
        ({"services.items.autoscaling": {"driver": "keda", "targetRequestsInFlight": 20},
          "observability.bundled": False}, "prometheusUrl is empty and observability.bundled is false"),
        ({"services.items.autoscaling": {"driver": "keda", "targetRequestsInFlight": 20, "minReplicas": 4}},
         "minReplicas is 4, more than maxReplicas, 3"),
        ({"defaults.resources.requests.cpu": None},
         "services.items.resources.requests.cpu is missing"),
        ({"services.items.env.ISSUER": "x"}, "services.items.env.ISSUER: the chart sets this variable itself"),
        ({"services.items.env.CURSOR_KEY": "x"}, "services.items.env.CURSOR_KEY: the chart sets this variable itself"),
        ({"services.items.secretEnv.DATABASE_URL": {"value": "x"}}, "services.items.secretEnv.DATABASE_URL"),
        ({"services.items.secretEnv.CURSOR_KEY": {"existingSecret": "a"}}, "value and existingSecret exclude"),
        ({"services.auth.paths": ["/v1/items"], "services.auth.routes": None},
         "services.items.paths: /v1/items is already routed to auth"),
        ({"services.gateway": None, "services.auth.paths": ["/v1/items"], "services.auth.public": True,
          "services.items.public": True}, "services.items.paths: /v1/items is already routed to auth"),
        ({"services.cache": {}}, "services.cache: the name cache is taken"),
        ({"services.items-migrate": {}}, "services.items-migrate: names that end in -migrate"),
        ({"services.items.database.poolSize": 50}, "postgres.maxConnections is 300 and the release can need 341"),
        ({"postgres.port": 6432}, "postgres.port is 6432 and postgres.deploy is true"),
        ({"postgres.sslMode": "require"}, "postgres.sslMode is require and postgres.deploy is true"),
        ({"postgres.caSecret.name": "ca"}, "postgres.caSecret.name is set and postgres.deploy is true"),
        ({**OUTSIDE, "postgres.sslMode": "verify-ca"}, "verify-ca and postgres.caSecret.name is empty"),
        ({**OUTSIDE, "postgres.caSecret.name": "ca"}, 'postgres.caSecret.name is set and postgres.sslMode is ""'),
        ({"cache.port": 6380}, "cache.port is 6380 and cache.deploy is true"),
        ({"state.deploy": False, "state.url": "redis://s", "state.port": 1}, "put the port into the URL"),
        ({"cache.deploy": False, "cache.url": "redis://c", "cache.existingSecret": "own"},
         "cache.url and cache.existingSecret exclude each other"),
        ({"cache.deploy": False, "cache.url": "redis://c", "cache.caSecret.name": "ca"},
         "cache.url does not begin with rediss://"),
        ({"postgres.host": "db.example.com"}, "postgres.host is set and postgres.deploy is true"),
        ({"postgres.deploy": False}, "postgres.deploy is false and postgres.host is empty"),
        ({"postgres.deploy": False, "postgres.host": "db.example.com"}, "postgres.peers is empty"),
        ({"cache.deploy": False}, "cache.deploy is false and cache.url is empty"),
        ({"cache.deploy": False, "cache.url": "redis://c"}, "cache.peers is empty"),
        ({"tracing.endpoint": "http://collector:4318"}, "tracing.peers is empty"),
    ],
)  # fmt: skip
def test_an_impossible_combination_is_refused_with_a_sentence(
    chart: Chart, changes: dict[str, object], sentence: str
) -> None:
    values: dict[str, Any] = {}
    for path, value in changes.items():
        merge(values, nested(path, value))

    assert sentence in refusal(chart, values)


def test_a_release_name_that_leaves_no_room_is_refused(chart: Chart) -> None:
    with pytest.raises(Refused, match="names of its objects have room for 20"):
        chart.render(environment("dev"), release="r" * 21)


@pytest.mark.parametrize(
    "parameter",
    ["listen_addresses", "port", "unix_socket_directories", "data_directory", "config_file", "hba_file", "ident_file"],
)
def test_parameters_that_the_start_script_depends_on_are_refused(chart: Chart, parameter: str) -> None:
    sentence = refusal(chart, {"postgres": {"parameters": {parameter: "x"}}})

    assert f"postgres.parameters.{parameter}: the chart sets this one itself" in sentence


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "services.gateway.tokens is verify, but there are no keys to verify with"),
        ("http://id.example.com/keys", "tokens.jwksUrl is http://id.example.com/keys: whoever stands between"),
        ("http://keys.svc.example.com", "it must begin with https://"),
    ],
)
def test_production_needs_keys_that_nobody_can_change_on_the_way(chart: Chart, url: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        chart.render(environment("production"), f"tokens.jwksUrl={url}", {"services": WITHOUT_AUTH})


@pytest.mark.parametrize("host", ["keys.tools.svc", "keys.tools.svc.cluster.local:8080"])
def test_keys_of_another_namespace_may_come_without_tls(chart: Chart, host: str) -> None:
    peers: list[dict[str, Any]] = [{"podSelector": {}}]
    values = {"services": WITHOUT_AUTH, "tokens": {"peers": peers}}
    chart.render(environment("production"), f"tokens.jwksUrl=http://{host}/jwks.json", values)


def test_connections_are_counted_to_the_last_one(chart: Chart) -> None:
    items = 2 * 3 * (8 + 1) + 2  # its pools and their checks twice over, its migration
    auth = 2 * 1 * (8 + 1) + 2 + 3 * 2  # likewise, its two crons, and what it does once
    needed = 4 + 3 + items + auth  # administrator and roles, the exporter

    chart.render(environment("dev"), f"postgres.maxConnections={needed}")
    with pytest.raises(Refused, match=f"is {needed - 1} and the release can need {needed} "):
        chart.render(environment("dev"), f"postgres.maxConnections={needed - 1}")


def refusal(chart: Chart, values: dict[str, Any]) -> str:
    """The sentence with which the values over those of dev are refused."""
    with pytest.raises(Refused) as refused:
        chart.render(environment("dev"), values)
    return str(refused.value)

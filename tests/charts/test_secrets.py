"""Secrets: given, kept, and never made up where they could not be kept (generation needs a cluster: see e2e)."""

import base64
from typing import Any

import pytest

from tests.charts.chart import Chart, Manifest, Objects, Refused, containers
from tests.charts.conftest import environment

NEEDED: dict[str, dict[str, Any]] = {
    "postgres.adminPassword": {"postgres": {"adminPassword": ""}},
    "cache.password": {"cache": {"password": ""}},
    "state.password": {"state": {"password": ""}},
    "services.items.database.appPassword": {"services": {"items": {"database": {"appPassword": ""}}}},
    "services.items.database.ownerPassword": {"services": {"items": {"database": {"ownerPassword": ""}}}},
    "services.items.secretEnv.CURSOR_KEY.value": {"services": {"items": {"secretEnv": {"CURSOR_KEY": {"value": ""}}}}},
    **{
        f"services.auth.secretEnv.{key}.value": {"services": {"auth": {"secretEnv": {key: {"value": ""}}}}}
        for key in ("KEY_ENCRYPTION_KEY", "TOKEN_KEY", "AUDIT_KEY")
    },
}
ROLLED = {"slipway-items", "slipway-auth", "slipway-postgres-exporter"}
"""What a rotation of the database logins rolls."""
EXISTING: dict[str, Any] = {
    "postgres": {"existingSecret": "own-postgres"},
    "cache": {"existingSecret": "own-cache"},
    "state": {"existingSecret": "own-state"},
    "observability": {"exporters": {"postgres": {"existingSecret": "own-monitor"}}},
    "services": {
        "items": {
            "database": {"existingSecret": "own-items"},
            "secretEnv": {"CURSOR_KEY": {"existingSecret": "own-cursor", "key": "key"}},
        },
        "auth": {
            "database": {"existingSecret": "own-auth"},
            "secretEnv": {
                key: {"existingSecret": "own-keys"} for key in ("KEY_ENCRYPTION_KEY", "TOKEN_KEY", "AUDIT_KEY")
            },
        },
    },
}


def secret(objects: Objects, name: str) -> dict[str, str]:
    """What a Secret says, as text."""
    return {k: base64.b64decode(v).decode() for k, v in objects.one("Secret", name)["data"].items()}


def checksums(objects: Objects) -> dict[str, dict[str, str]]:
    """The annotations of every pod that runs for long."""
    return {
        name: o["spec"]["template"]["metadata"]["annotations"]
        for kind in ("Deployment", "StatefulSet")
        for name, o in objects.kind(kind).items()
    }


@pytest.mark.parametrize("setting", NEEDED)
def test_without_a_cluster_a_missing_secret_is_asked_for_by_name(chart: Chart, setting: str) -> None:
    with pytest.raises(Refused, match=f"{setting} is not given and there is no cluster to look into"):
        chart.render(environment("dev"), NEEDED[setting])


def test_given_passwords_reach_the_addresses(dev: Objects) -> None:
    assert secret(dev, "slipway-cache")["url"] == "redis://:cache-secret-value@slipway-cache:6379/0"
    assert secret(dev, "slipway-items-database") == {
        "rotation": "0",
        "app-password": "app-secret-value",
        "owner-password": "owner-secret-value",
        "app-url": "postgresql://items_app_a:app-secret-value@slipway-postgres:5432/items?sslmode=disable",
        "owner-url": "postgresql://items_owner_a:owner-secret-value@slipway-postgres:5432/items?sslmode=disable",
    }


def test_an_application_knows_its_own_login_and_not_its_owners(dev: Objects) -> None:
    deployment = dev.one("Deployment", "slipway-items")["spec"]["template"]
    keys = {
        v["valueFrom"]["secretKeyRef"]["key"]
        for container in containers(deployment)
        for v in container["env"]
        if "valueFrom" in v
    }

    assert keys == {"app-url", "url", "CURSOR_KEY"}


def test_the_password_of_the_mail_server_reaches_who_sends_mail_and_rolls_its_pods(chart: Chart) -> None:
    own, other = ({"mail": {"existingSecret": "", "password": f"smtp-secret-value-{n}"}} for n in (1, 2))
    before, after = (chart.render(environment("production"), values) for values in (own, other))

    assert secret(after, "slipway-mail") == {"password": "smtp-secret-value-2"}
    assert {name for name, seen in checksums(before).items() if checksums(after)[name] != seen} == {"slipway-auth"}
    mentioned = {o["metadata"]["name"] for o in after if "SMTP_PASSWORD" in str(o) and o["kind"] == "Deployment"}
    assert mentioned == {"slipway-auth"}


def test_a_rotation_switches_the_login_and_rolls_the_pods_that_use_it(chart: Chart, dev: Objects) -> None:
    rotated = chart.render(environment("dev"), "postgres.rotation=1")

    urls = secret(rotated, "slipway-items-database")
    assert "items_app_b:" in urls["app-url"]
    assert "items_owner_b:" in urls["owner-url"]
    changed = {name for name, before in checksums(dev).items() if checksums(rotated)[name] != before}
    assert changed == ROLLED  # neither Postgres nor anybody without a login


def test_a_rotation_rolls_pods_also_where_the_logins_are_in_a_secret_of_ones_own(chart: Chart) -> None:
    own = {
        "services": {"items": {"database": {"existingSecret": "own"}}},
        "observability": {"exporters": {"postgres": {"existingSecret": "own-monitor", "password": ""}}},
    }
    before, after = (checksums(chart.render(environment("dev"), f"postgres.rotation={n}", own)) for n in (0, 1))

    assert {name for name in before if after[name] != before[name]} == ROLLED


def authorities(owner: Manifest) -> set[tuple[str, str]]:
    """(Secret, folder) of each certificate that its container can read as ca.crt."""
    spec = owner["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    return {
        (volume["secret"]["secretName"], mounts[volume["name"]])
        for volume in spec["volumes"]
        if volume.get("secret", {}).get("items") == [{"key": "root.crt", "path": "ca.crt"}]
    }


def test_authorities_reach_whoever_checks_them(chart: Chart) -> None:
    objects = chart.render(environment("everything"))
    postgres, cache = ("database-ca", "/ca/postgres"), ("cache-ca", "/ca/cache")

    assert authorities(objects.one("Deployment", "slipway-items")) == {postgres, cache}
    assert authorities(objects.one("Deployment", "slipway-worker")) == set()
    assert authorities(objects.one("StatefulSet", "slipway-state")) == set()
    for name, job in objects.kind("Job").items():
        if "-greet-" not in name:  # those of services have what their pods have
            assert authorities(job) == {postgres}
    assert authorities(objects.starting("Job", "slipway-items-greet-")) == {postgres, cache}
    (roles,) = objects.starting("Job", "slipway-roles-")["spec"]["template"]["spec"]["containers"]
    env = {v["name"]: v.get("value") for v in roles["env"]}
    assert (env["PGSSLMODE"], env["PGSSLROOTCERT"]) == ("verify-full", "/ca/postgres/ca.crt")


def test_a_new_password_of_the_cache_rolls_the_cache_and_its_users(chart: Chart, dev: Objects) -> None:
    changed_values = chart.render(environment("dev"), {"cache": {"password": "another-secret-value"}})

    after = checksums(changed_values)
    assert {name for name, before in checksums(dev).items() if after[name] != before} == {
        "slipway-cache",
        "slipway-cache-exporter",
        "slipway-items",
    }


def test_existing_secrets_are_used_and_none_is_made(chart: Chart) -> None:
    objects = chart.render(environment("dev"), EXISTING, given=False)

    assert objects.kind("Secret") == {}
    used = {
        v["valueFrom"]["secretKeyRef"]["name"]
        for _, pod in objects.pods()
        for container in containers(pod)
        for v in container.get("env", [])
        if "valueFrom" in v
    }
    assert used == {
        "own-postgres",
        "own-cache",
        "own-state",
        "own-items",
        "own-cursor",
        "own-auth",
        "own-keys",
        "own-monitor",
    }
    state = objects.one("StatefulSet", "slipway-state")["spec"]["template"]["spec"]
    assert [v["secret"]["secretName"] for v in state["volumes"] if "secret" in v] == ["own-state"]


def test_an_external_postgres_is_prepared_with_the_administrators_address(chart: Chart) -> None:
    outside = {
        "deploy": False,
        "host": "db.example.com",
        "peers": [{"ipBlock": {"cidr": "203.0.113.5/32"}}],
        "existingSecret": "administrator",
    }
    objects = chart.render(environment("dev"), {"postgres": outside})

    (container,) = objects.starting("Job", "slipway-roles-")["spec"]["template"]["spec"]["containers"]
    env = {v["name"]: v for v in container["env"]}
    assert env["ADMIN_URL"]["valueFrom"]["secretKeyRef"] == {"name": "administrator", "key": "url"}
    assert env["BUNDLED"]["value"] == "0"
    assert "PGHOST" not in env
    url = secret(objects, "slipway-items-database")["app-url"]
    assert url == "postgresql://items_app_a:app-secret-value@db.example.com:5432/items?sslmode=require"
    assert "slipway-postgres" not in objects.kind("StatefulSet")


def test_without_an_administrator_the_notes_say_how_to_prepare_the_databases(chart: Chart) -> None:
    outside = {"deploy": False, "host": "db.example.com", "peers": [{"ipBlock": {"cidr": "203.0.113.5/32"}}]}

    objects = chart.render(environment("dev"), {"postgres": outside})

    assert not [name for name in objects.kind("Job") if name.startswith("slipway-roles-")]
    assert "service.sql" in objects.one("ConfigMap", "slipway-roles")["data"]

"""What every rendered object keeps to, in each environment."""

import re
from collections import Counter
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.charts.chart import EVERYTHING, SELECTOR, Chart, Manifest, Objects, containers, variables
from tests.charts.conftest import environment

ROUTE = "gateway.networking.k8s.io/v1"
MONITORING = "monitoring.coreos.com/v1"
KEDA = "keda.sh/v1alpha1"
MINORS = ["1.35", "1.36", "1.37"]
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
HASHED = re.compile(r"-[0-9a-f]{8}$")


@pytest.mark.parametrize("minor", MINORS)
def test_every_object_fits_the_schema_of_each_supported_kubernetes(rendered: Objects, minor: str) -> None:
    for manifest in rendered:
        if manifest["apiVersion"] in (ROUTE, MONITORING, KEDA):
            continue  # none of Kubernetes' own
        used = kubernetes_validate.validate(manifest, minor, strict=True)

        assert used == minor, "this minor's schemas are not installed"


def test_every_name_is_one_of_the_release_and_unique(rendered: Objects) -> None:
    names = Counter((o["kind"], o["metadata"]["name"]) for o in rendered)

    assert [name for name, count in names.items() if count > 1] == []
    for _, name in names:
        assert NAME.fullmatch(name), name
        assert name == "slipway" or name.startswith("slipway-")


def test_the_longest_names_still_fit(chart: Chart) -> None:
    service = "twenty-letters-long0"
    passwords = {"appPassword": "app-secret-value", "ownerPassword": "owner-secret-value"}
    entry = {"public": True, "uses": ["postgres"], "migrate": True, "database": passwords}
    entry["crons"] = {"ten-letter": {"schedule": "0 0 * * *", "args": ["x"]}}
    entry["once"] = {"seven77": {"args": ["x"]}}
    values = {"origin": "https://a.example", "services": {"gateway": None, "items": None, "auth": None, service: entry}}

    objects = chart.render(values, release="r" * 20)

    longest = max(len(o["metadata"]["name"]) for o in objects)
    assert longest + len("-9999") == 63  # what a Job that is tried again has at its end
    assert all(NAME.fullmatch(o["metadata"]["name"]) for o in objects)
    assert max(map(len, objects.kind("CronJob"))) == 52  # Kubernetes adds eleven characters to those


def test_every_object_carries_the_recommended_labels(rendered: Objects) -> None:
    for manifest in rendered:
        labels = manifest["metadata"]["labels"]
        assert labels.keys() >= {*SELECTOR, "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"}


def test_every_pod_meets_the_restricted_standard(rendered: Objects) -> None:
    for owner, pod in rendered.pods():
        assert restricted_faults(pod) == [], owner


def restricted_faults(pod: Manifest) -> list[str]:
    """What the restricted Pod Security Standard, and we beyond it, would refuse."""
    spec, faults = pod["spec"], []
    security = spec["securityContext"]
    wanted = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    faults += [f"pod {key}" for key, value in wanted.items() if security.get(key) != value]
    faults += ["root user"] * (security.get("runAsUser", 0) == 0)
    faults += [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    faults += ["token"] * (spec.get("automountServiceAccountToken") is not False)
    kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
    faults += sorted(kinds - {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"})
    for container in containers(pod):
        security = container["securityContext"]
        wanted = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        faults += [f"{container['name']} {key}" for key, value in wanted.items() if security.get(key) != value]
        faults += [f"{container['name']} hostPort" for port in container.get("ports", []) if "hostPort" in port]
    return faults


def test_secret_values_stand_in_secrets_alone(rendered: Objects) -> None:
    for manifest in rendered:
        if manifest["kind"] != "Secret":
            assert "secret-value" not in str(manifest), manifest["metadata"]["name"]


def test_secrets_hold_what_the_check_above_looks_for(dev: Objects) -> None:
    assert len(dev.kind("Secret")) == 8


def test_every_reference_inside_the_release_has_its_object(dev: Objects) -> None:
    known = {(o["kind"], o["metadata"]["name"]): o for o in dev}

    for owner, pod in dev.pods():
        assert ("ServiceAccount", pod["spec"]["serviceAccountName"]) in known, owner
        for container in containers(pod):
            for variable in container.get("env", []):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert reference["key"] in known["Secret", reference["name"]]["data"], owner
        for volume in pod["spec"].get("volumes", []):
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in known, owner
            if "secret" in volume:
                assert ("Secret", volume["secret"]["secretName"]) in known, owner


def test_services_select_pods_of_their_own_and_no_jobs(dev: Objects) -> None:
    for name, service in dev.kind("Service").items():
        selector = service["spec"]["selector"]
        chosen = [owner for owner, pod in dev.pods() if selector.items() <= pod["metadata"]["labels"].items()]
        assert [owner.split("/")[1] for owner in chosen] == [name.removesuffix("-pods").removesuffix("-scrape")]


def test_selectors_stay_the_same_whatever_the_values_say(chart: Chart) -> None:
    def selectors(objects: Objects) -> dict[str, Any]:
        kinds = ("Deployment", "StatefulSet")
        return {
            name: (o["spec"]["selector"], o["spec"].get("volumeClaimTemplates", [{}])[0].get("metadata"))
            for kind in kinds
            for name, o in objects.kind(kind).items()
        }

    everything = selectors(chart.render(EVERYTHING))
    plain = selectors(chart.render(environment("dev")))

    for name in everything.keys() & plain.keys():
        assert everything[name] == plain[name]
        assert sorted(plain[name][0]["matchLabels"]) == SELECTOR


def test_claims_of_volumes_carry_nothing_that_could_change(rendered: Objects) -> None:
    for stateful in rendered.kind("StatefulSet").values():
        for claim in stateful["spec"].get("volumeClaimTemplates", []):
            assert claim["metadata"] == {"name": "data"}


def test_volumes_outlive_the_release(dev: Objects) -> None:
    for name in ("slipway-postgres", "slipway-state"):
        policy = dev.one("StatefulSet", name)["spec"]["persistentVolumeClaimRetentionPolicy"]
        assert policy == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert dev.kind("PersistentVolumeClaim") == {}  # such a one would be Helm's, and go with the release


def test_a_store_that_cannot_start_is_replaced_by_one_that_can(rendered: Objects) -> None:
    for stateful in rendered.kind("StatefulSet").values():
        assert stateful["spec"]["podManagementPolicy"] == "Parallel"


def test_what_a_job_waits_for_leaves_time_for_another_attempt(rendered: Objects) -> None:
    for job in rendered.kind("Job").values():
        env = variables(job["spec"]["template"]["spec"]["containers"][0])
        waits = [int(env[name] or "") for name in ("DEADLINE_SECONDS", "DATABASE_WAIT_SECONDS") if name in env]
        args = job["spec"]["template"]["spec"]["containers"][0].get("args", [])
        waits += [int(arg.removeprefix("--wait=")) for arg in args if arg.startswith("--wait=")]
        assert all(seconds <= job["spec"]["activeDeadlineSeconds"] / 2 for seconds in waits)
        assert waits or "greet" in args  # the one of the values with everything on


def test_the_cache_keeps_nothing_and_the_state_everything(dev: Objects) -> None:
    cache, state = (dev.one("ConfigMap", f"slipway-{name}")["data"]["redis.conf"] for name in ("cache", "state"))

    assert "volumeClaimTemplates" not in dev.one("StatefulSet", "slipway-cache")["spec"]
    assert "volumeClaimTemplates" in dev.one("StatefulSet", "slipway-state")["spec"]
    assert {"appendonly no", "maxmemory-policy allkeys-lfu", "maxmemory 64mb"} <= set(cache.splitlines())
    assert {"appendonly yes", "maxmemory-policy noeviction", "maxmemory 64mb"} <= set(state.splitlines())


def test_secrets_are_kept_on_uninstall(rendered: Objects) -> None:
    for secret in rendered.kind("Secret").values():
        assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_no_object_is_a_hook_but_those_of_helm_test(rendered: Objects) -> None:
    hooks = {(o["kind"], hook) for o in rendered if (hook := o["metadata"].get("annotations", {}).get("helm.sh/hook"))}

    assert hooks == {("Pod", "test")}


def test_a_rollout_never_has_fewer_pods(rendered: Objects) -> None:
    for deployment in rendered.kind("Deployment").values():
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize(
    ("service", "replicas", "hpa", "pdb"),
    [
        ({"autoscaling": {"driver": "hpa", "minReplicas": 1, "maxReplicas": 1}}, None, True, False),
        ({"autoscaling": {"driver": "hpa", "minReplicas": 1, "maxReplicas": 2}}, None, True, True),
        ({"autoscaling": {"driver": "none"}, "replicas": 1}, 1, False, False),
        ({"autoscaling": {"driver": "none"}, "replicas": 0}, 0, False, False),
        ({"autoscaling": {"driver": "none"}, "replicas": 2}, 2, False, True),
    ],
)
def test_one_owner_of_replicas_and_a_budget_only_above_one(
    chart: Chart, service: Manifest, replicas: int | None, hpa: bool, pdb: bool
) -> None:
    objects = chart.render({"origin": "https://a.example", "services": {"auth": service}})

    assert objects.one("Deployment", "slipway-auth")["spec"].get("replicas") == replicas
    assert ("slipway-auth" in objects.kind("HorizontalPodAutoscaler")) == hpa
    assert ("slipway-auth" in objects.kind("PodDisruptionBudget")) == pdb


def test_a_budget_never_blocks_a_node(rendered: Objects) -> None:
    for budget in rendered.kind("PodDisruptionBudget").values():
        assert budget["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in budget["spec"]


def test_names_of_jobs_end_in_a_hash_that_follows_their_spec(chart: Chart) -> None:
    def jobs(*values: str) -> set[str]:
        return set(chart.render(environment("dev"), *values).kind("Job"))

    before = jobs()
    assert len(before) == 4
    assert all(HASHED.search(name) for name in before)
    # nothing to do with either
    assert jobs("services.items.replicas=7", "logLevel=WARNING") == before
    (docs,) = (name for name in before if name.startswith("slipway-auth-docs-"))
    assert jobs("tokens.audience=other") & before == before - {docs}
    (roles,) = (name for name in before if name.startswith("slipway-roles-"))
    (items,) = (name for name in before if name.startswith("slipway-items-migrate-"))
    assert jobs("services.items.image.tag=v2") & before == before - {items}
    assert jobs("postgres.rotation=1") & before == before - {roles}
    assert jobs("jobs.deadlineSeconds=60").isdisjoint(before)


def test_commands_by_the_clock_run_one_at_a_time_and_end(rendered: Objects) -> None:
    assert rendered.kind("CronJob")
    for cron in rendered.kind("CronJob").values():
        spec = cron["spec"]
        assert (spec["concurrencyPolicy"], spec["timeZone"]) == ("Forbid", "Etc/UTC")
        assert 600 <= spec["startingDeadlineSeconds"] < 3600  # after an outage once, not for each hour
        assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (1, 3)
        job = spec["jobTemplate"]["spec"]
        assert 0 < job["activeDeadlineSeconds"] <= 600
        assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_a_command_by_the_clock_is_the_service_with_other_arguments(dev: Objects) -> None:
    (serving,) = dev.one("Deployment", "slipway-auth")["spec"]["template"]["spec"]["containers"]

    for name, args in (("keys", ["keys", "rotate"]), ("clean", ["clean"])):
        job = dev.one("CronJob", f"slipway-auth-{name}")["spec"]["jobTemplate"]
        assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "auth-cron"
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["args"] == args
        assert container["image"] == serving["image"]
        differs = [new for old, new in zip(serving["env"], container["env"], strict=True) if old != new]
        assert differs == [{"name": "DATABASE_POOL_SIZE", "value": "2"}]


def test_what_runs_once_is_the_service_with_other_arguments(dev: Objects) -> None:
    (serving,) = dev.one("Deployment", "slipway-auth")["spec"]["template"]["spec"]["containers"]
    template = dev.starting("Job", "slipway-auth-docs-")["spec"]["template"]
    (container,) = template["spec"]["containers"]

    assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "auth-cron"  # whose policy it needs
    assert container["args"][:3] == ["clients", "ensure", "docs"]
    assert "--redirect-uri=$(ISSUER)/docs/oauth2-redirect" in container["args"]  # Kubernetes puts the variable in
    assert container["image"] == serving["image"]
    env = variables(container)
    assert env["ISSUER"] == "https://slipway.localhost:8443"
    assert (env["DATABASE_POOL_SIZE"], env["LOG_LEVEL"]) == ("2", "INFO")


def test_jobs_stay_to_be_read(dev: Objects) -> None:
    for job in dev.kind("Job").values():
        assert "ttlSecondsAfterFinished" not in job["spec"]
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
        assert job["spec"]["activeDeadlineSeconds"] > 0


def test_rendering_twice_gives_the_same(chart: Chart) -> None:
    assert chart.text(environment("dev")) == chart.text(environment("dev"))


def test_helm_3_renders_what_helm_4_renders(chart: Chart, helm3: Chart) -> None:
    for name in ("dev", "production", "everything"):
        mine, other = chart.render(environment(name)), helm3.render(environment(name))

        assert sorted(map(str, mine)) == sorted(map(str, other))

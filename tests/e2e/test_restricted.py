"""Namespaces of Slipway enforce the restricted Pod Security Standard, for every pod and Job."""

import copy
from collections.abc import Callable

import pytest
from kubernetes.client.exceptions import ApiException

from tests.e2e.kube import Kube, Object
from tests.e2e.releases import Release

pytestmark = pytest.mark.e2e

Break = Callable[[Object], object]


def first(spec: Object) -> Object:
    """The security context of a pod's first container."""
    context: Object = spec["containers"][0]["securityContext"]
    return context


BROKEN: dict[str, Break] = {
    "allowPrivilegeEscalation": lambda spec: first(spec).update(allowPrivilegeEscalation=True),
    "unrestricted capabilities": lambda spec: first(spec).update(capabilities={}),
    "runAsNonRoot": lambda spec: spec["securityContext"].update(runAsNonRoot=False),
    "runAsUser=0": lambda spec: first(spec).update(runAsUser=0),
    "seccompProfile": lambda spec: spec["securityContext"].update(seccompProfile={"type": "Unconfined"}),
    "privileged": lambda spec: first(spec).update(privileged=True, allowPrivilegeEscalation=True),
    "host namespaces": lambda spec: spec.update(hostNetwork=True),
    "restricted volume types": lambda spec: spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
}
"""By what the API server calls the rule: a change that breaks it."""


@pytest.mark.parametrize("kind", ["Pod", "Job"])
def test_every_namespace_with_something_of_slipway_enforces_restricted(
    kube: Kube, platform: Release, kind: str
) -> None:
    found = kube.objects(kind, labels="app.kubernetes.io/name=slipway")

    namespaces = {each["metadata"]["namespace"] for each in found}
    assert platform.namespace in namespaces
    for namespace in namespaces:
        labels = kube.get("Namespace", namespace)["metadata"]["labels"]
        assert labels.get("pod-security.kubernetes.io/enforce") == "restricted", namespace
        assert labels.get("pod-security.kubernetes.io/enforce-version", "latest") == "latest", namespace


def test_every_template_of_the_release_is_admitted(platform: Release) -> None:
    """The control of the next test: what is refused there is refused for what was broken."""
    for name, spec in templates(platform).items():
        admit(platform, name, spec)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_template_that_breaks_a_rule_is_refused(platform: Release, rule: str) -> None:
    found = templates(platform)
    assert len(found) >= 11, found.keys()  # gateway, items, auth, three stores, three Jobs, two CronJobs
    for name, spec in found.items():
        BROKEN[rule](spec)

        with pytest.raises(ApiException) as refused:
            admit(platform, name, spec)

        assert refused.value.status == 403, f"{name}: {refused.value.body}"
        assert "violates PodSecurity" in str(refused.value.body), f"{name}: {refused.value.body}"
        assert rule in str(refused.value.body), f"{name}: {refused.value.body}"


def templates(release: Release) -> dict[str, Object]:
    """The pod specs of everything in the release that makes pods, free to change."""
    return {
        f"{kind} {each['metadata']['name']}": pod_spec(each["spec"].get("jobTemplate", each)["spec"])
        for kind in ("Deployment", "StatefulSet", "Job", "CronJob")
        for each in release.objects(kind)
    }


def pod_spec(spec: Object) -> Object:
    """The spec of the pods that a controller makes, with the volumes that a StatefulSet claims for each."""
    pod: Object = copy.deepcopy(spec["template"]["spec"])
    for claim in spec.get("volumeClaimTemplates", []):
        name = claim["metadata"]["name"]
        pod["volumes"].append({"name": name, "persistentVolumeClaim": {"claimName": name}})
    return {**pod, "restartPolicy": "Never"}


def admit(release: Release, name: str, spec: Object) -> None:
    """Ask the API server whether it would take a pod; nothing is made."""
    metadata = {"name": name.lower().replace(" ", "-")[:60], "namespace": release.namespace}
    release.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, dry_run=True)

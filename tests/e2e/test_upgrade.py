"""An upgrade that changes nothing."""

from typing import Any

import pytest

from tests.e2e.kube import Object
from tests.e2e.releases import OwnRelease

pytestmark = pytest.mark.e2e


def test_an_upgrade_that_changes_nothing_restarts_nothing_and_changes_no_secret(release: OwnRelease) -> None:
    before = snapshot(release)

    release.upgrade()

    assert changes(before, snapshot(release)) == {}


def test_a_changed_variable_restarts_only_the_pods_that_read_it(release: OwnRelease) -> None:
    """The control: the snapshot sees a restart."""
    before = snapshot(release)

    with release.changed({"services": {"auth": {"env": {"PASSWORD_QUEUE": "33"}}}}):
        changed = changes(before, snapshot(release))

    readers = {
        f"Deployment {release.name}-auth",
        f"CronJob {release.name}-auth-keys",
        f"CronJob {release.name}-auth-clean",
    }
    assert {key for key in changed if not key.startswith("Pod")} == readers
    assert {key.split()[1] for key in changed if key.startswith("Pod")} == {"auth"}


def snapshot(release: OwnRelease) -> dict[str, Any]:
    """What must stay, by name: pods with their restarts, secrets with their data, the generations of the rest."""
    pods = {
        f"Pod {component(pod)} {pod['metadata']['uid']}": restarts(pod)
        for pod in release.objects("Pod")
        if "deletionTimestamp" not in pod["metadata"]
    }
    secrets = {
        f"Secret {secret['metadata']['name']}": (secret["metadata"]["resourceVersion"], secret["data"])
        for secret in release.objects("Secret")
    }
    others = {
        f"{kind} {each['metadata']['name']}": (each["metadata"]["uid"], each["metadata"].get("generation"))
        for kind in ("Deployment", "StatefulSet", "Job", "CronJob", "NetworkPolicy", "Ingress")
        for each in release.objects(kind)
    }
    assert pods
    assert secrets
    assert others
    return pods | secrets | others


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Before and after of everything that is not the same."""
    keys = sorted(before.keys() | after.keys())
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def component(pod: Object) -> str:
    name: str = pod["metadata"]["labels"]["app.kubernetes.io/component"]
    return name


def restarts(pod: Object) -> int:
    return sum(each["restartCount"] for each in pod["status"]["containerStatuses"])

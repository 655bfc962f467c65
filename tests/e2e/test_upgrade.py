"""An upgrade that changes nothing."""

from typing import Any

import pytest

from tests.e2e.releases import OwnRelease

pytestmark = pytest.mark.e2e


def test_an_upgrade_that_changes_nothing_restarts_nothing_and_changes_no_secret(release: OwnRelease) -> None:
    before = snapshot(release)
    assert before["pods"]
    assert before["jobs"]
    assert before["secrets"]

    release.upgrade()

    assert snapshot(release) == before


def test_a_changed_variable_restarts_only_the_pods_that_read_it(release: OwnRelease) -> None:
    """The control: the snapshot sees a restart."""
    before = snapshot(release)

    with release.changed({"services": {"auth": {"env": {"TOKEN_LIFETIME_SECONDS": "1800"}}}}):
        after = snapshot(release)

    changed = before["pods"].keys() ^ after["pods"].keys()
    assert {key.rsplit(" ", 1)[0] for key in changed} == {"auth"}
    assert after["secrets"] == before["secrets"]


def snapshot(release: OwnRelease) -> dict[str, dict[str, Any]]:
    """What must stay: pods with their restarts, Jobs, secrets, the generations of everything that makes pods."""
    return {
        "pods": {
            f"{pod['metadata']['labels']['app.kubernetes.io/component']} {pod['metadata']['uid']}": sum(
                each["restartCount"] for each in pod["status"]["containerStatuses"]
            )
            for pod in release.objects("Pod")
            if "deletionTimestamp" not in pod["metadata"]
        },
        "jobs": {job["metadata"]["name"]: job["metadata"]["uid"] for job in release.objects("Job")},
        "secrets": {
            secret["metadata"]["name"]: (secret["metadata"]["resourceVersion"], secret["data"])
            for secret in release.objects("Secret")
        },
        "generations": {
            f"{kind} {each['metadata']['name']}": each["metadata"].get("generation")
            for kind in ("Deployment", "StatefulSet", "Job", "NetworkPolicy", "Ingress")
            for each in release.objects(kind)
        },
    }

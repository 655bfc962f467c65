"""Installing beside another release, and again after everything was uninstalled. Long."""

import pytest

from tests.e2e import edge
from tests.e2e.kube import Kube
from tests.e2e.namespaces import MakeNamespace
from tests.e2e.releases import OwnRelease, Release

pytestmark = [pytest.mark.e2e, pytest.mark.full]


def test_two_releases_in_one_namespace_never_meet(
    kube: Kube, development: list[str], make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace("pair")
    one, two = (OwnRelease(kube, namespace, name, development) for name in ("one", "two"))
    one.upgrade()
    before = {pod["metadata"]["uid"] for pod in one.objects("Pod")}

    two.upgrade()

    assert {pod["metadata"]["uid"] for pod in one.objects("Pod")} == before
    with one.client() as first, two.client() as second:
        created = first.post("/v1/items", json=edge.make_item()).raise_for_status()
        assert first.get("/v1/items").json()["items"] == [created.json()]
        assert second.get("/v1/items").json()["items"] == []
        # a token of one release's issuer is nothing to the other
        second.headers["Authorization"] = first.headers["Authorization"]
        assert second.get("/v1/items").status_code == 401

    two.uninstall()
    with one.client() as first:
        assert first.get("/v1/items").json()["items"] == [created.json()]


def test_uninstalled_and_installed_again_under_the_same_name_serves_the_old_rows(
    kube: Kube, development: list[str], make_namespace: MakeNamespace
) -> None:
    release = OwnRelease(kube, make_namespace("again"), "again", development)
    release.upgrade()
    with release.client() as client:
        created = client.post("/v1/items", json=edge.make_item(name="Before")).raise_for_status()
    kept = secret_data(release)

    release.uninstall()

    assert {kind: release.objects(kind) for kind in ("Deployment", "StatefulSet", "Job")} == {
        "Deployment": [],
        "StatefulSet": [],
        "Job": [],
    }
    assert secret_data(release) == kept
    assert kube.objects("PersistentVolumeClaim", release.namespace)

    release.upgrade()

    assert secret_data(release) == kept
    with release.client() as client:
        assert client.get("/v1/items").json()["items"] == [created.json()]


def secret_data(release: Release) -> dict[str, object]:
    """The release's Secrets by name; never empty, or nothing would be compared."""
    found = {secret["metadata"]["name"]: secret["data"] for secret in release.objects("Secret")}
    assert found
    return found

"""Code and schema of different age beside each other."""

import copy

import pytest

from tests.e2e import edge, revisions
from tests.e2e.kube import Object
from tests.e2e.pods import directly
from tests.e2e.releases import HelmError, OwnRelease
from tests.e2e.revisions import applied, image_of
from tests.e2e.waiting import ready, wait_until

pytestmark = pytest.mark.e2e

LONG_ENOUGH_SECONDS = 30  # a pod that becomes ready does so in a third of it


def test_the_current_image_is_ready_beside_a_database_one_revision_further(release: OwnRelease) -> None:
    tag = revisions.build(release, "one_further")
    current = release.pod("items")
    migrate(release, tag)
    assert applied(release)[-1] == "one_further"

    release.kube.delete("Pod", current["metadata"]["name"], release.namespace)
    successor = wait_until(
        "another pod of items is ready", lambda: successor_of(current, release), seconds=90, otherwise=release.report
    )

    assert successor is not None
    assert image_of(successor) == image_of(current)
    with release.client() as client:
        created = client.post("/v1/items", json=edge.make_item())
        assert created.status_code == 201, created.text
        assert created.json() in client.get("/v1/items").json()["items"]


def test_a_pod_whose_migration_did_not_run_is_never_ready_and_the_old_one_goes_on(release: OwnRelease) -> None:
    tag = revisions.build(release, "not_run")
    current = release.pod("items")
    try:
        with pytest.raises(HelmError):
            release.upgrade(
                {"services": {"items": {"image": {"tag": tag}, "migrate": False}}}, seconds=LONG_ENOUGH_SECONDS
            )

        [waiting] = [pod for pod in release.pods("items") if image_of(pod).endswith(f":{tag}")]
        assert "not_run" not in applied(release)
        assert not ready(waiting)
        with directly(release.kube, waiting, 9000) as management:
            assert management.get("/livez").status_code == 200  # unready is not broken: nothing restarts it
            answer = management.get("/readyz")
        assert answer.status_code == 503
        assert [name for name, said in answer.json()["checks"].items() if said != "ok"] == ["postgres"]
        assert "not_run" in answer.json()["checks"]["postgres"]
        assert current["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in release.pods("items") if ready(pod)}
        with release.client() as client:
            assert client.get("/v1/items").status_code == 200
    finally:
        release.upgrade()


def migrate(release: OwnRelease, tag: str) -> None:
    """Run the release's own migration Job with another image of items."""
    [job] = release.objects("Job", "items-migrate")
    template: Object = copy.deepcopy(job["spec"]["template"])
    generated = [key for key in template["metadata"]["labels"] if not key.startswith("app.kubernetes.io/")]
    for key in generated:  # of the Job that it was read from
        del template["metadata"]["labels"][key]
    container = template["spec"]["containers"][0]
    container["image"] = f"{container['image'].rpartition(':')[0]}:{tag}"
    name = f"{release.name}-migrate-{tag}"
    metadata = {"name": name, "namespace": release.namespace}
    spec = {"backoffLimit": 0, "activeDeadlineSeconds": 90, "template": template}
    release.kube.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
    wait_until(
        f"the Job {name} succeeds",
        lambda: release.kube.get("Job", name, release.namespace)["status"].get("succeeded"),
        seconds=90,
        otherwise=release.report,
    )


def successor_of(pod: Object, release: OwnRelease) -> Object | None:
    """Another pod of items that is ready."""
    others = [each for each in release.pods("items") if each["metadata"]["uid"] != pod["metadata"]["uid"]]
    return next((each for each in others if ready(each)), None)

"""What a user sees of the release of `make up`."""

import json
import secrets
import ssl

import httpx2
import pytest

from tests.e2e import edge
from tests.e2e.kube import Object
from tests.e2e.releases import Release
from tests.e2e.waiting import ready, wait_until

pytestmark = pytest.mark.e2e


def test_an_item_is_created_and_read_through_the_edge(platform: Release) -> None:
    with platform.client() as client:
        created = client.post("/v1/items", json=edge.make_item(tags=["light"]))
        read = client.get(created.headers["location"])

    assert created.status_code == 201, created.text
    assert read.status_code == 200, read.text
    assert read.json() == created.json()
    assert (read.json()["owner"], read.json()["tags"]) == ("alice", ["light"])


def test_a_request_is_found_by_its_id_in_the_logs_of_items(platform: Release) -> None:
    request_id = f"e2e-{secrets.token_hex(12)}"
    with platform.client() as client:
        answer = client.get("/v1/items", headers={"X-Request-ID": request_id})

    lines = wait_until(
        f"the request {request_id} is in the logs",
        lambda: [line for line in log_lines(platform) if line.get("request_id") == request_id],
        seconds=15,
        otherwise=platform.report,
    )
    assert answer.headers["x-request-id"] == request_id
    finished = next(line for line in lines if line["event"] == "request_finished")
    assert (finished["service"], finished["handler"], finished["status"]) == ("items", "/v1/items", 200)


def test_who_has_no_token_is_refused_with_a_problem_document(platform: Release) -> None:
    with platform.client() as client:
        answer = client.get("/v1/items", headers={"Authorization": ""})

    assert answer.status_code == 401
    assert answer.headers["content-type"] == edge.PROBLEM
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_token_of_another_caller_shows_nothing(platform: Release) -> None:
    with platform.client("alice") as alice, platform.client("mallory") as mallory:
        location = alice.post("/v1/items", json=edge.make_item()).headers["location"]

        assert alice.get(location).status_code == 200
        assert mallory.get(location).status_code == 404


def test_only_who_trusts_the_local_authority_trusts_the_edge() -> None:
    with (
        edge.client(context=ssl.create_default_context()) as client,
        pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.get("/v1/items")


def test_everything_of_the_release_is_healthy(platform: Release) -> None:
    wait_until(  # a pod that the autoscaler has just added may still be starting
        "every pod is ready", lambda: all(map(ready, platform.pods())), seconds=60, otherwise=platform.report
    )
    components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in platform.pods()}
    watching = {"prometheus", "kube-state-metrics", "postgres-exporter", "cache-exporter", "state-exporter"}
    assert components == {"gateway", "items", "auth", "postgres", "cache", "state"} | watching
    for claim in platform.objects("PersistentVolumeClaim"):
        assert claim["status"]["phase"] == "Bound", claim
    for job in platform.objects("Job"):
        assert job["status"].get("succeeded") == 1, platform.report()
    assert platform.objects("NetworkPolicy")
    assert platform.objects("Ingress")


def test_the_autoscaler_of_items_sees_its_metrics(platform: Release) -> None:
    """Without metrics it would never scale, and say so only in its conditions."""

    def active() -> bool:
        [autoscaler] = platform.objects("HorizontalPodAutoscaler", "items")
        return condition(autoscaler, "ScalingActive") == "True"

    wait_until("the autoscaler of items is active", active, seconds=90, otherwise=platform.report)


def test_helm_test_passes(platform: Release) -> None:
    said = platform.helm("test", platform.name, "--logs", seconds=150)

    assert "Succeeded" in said
    for service in ("gateway", "items", "auth"):
        assert f"{service} is ready" in said


def condition(obj: Object, kind: str) -> str:
    """The status of one of an object's conditions, "" when it has none of that type."""
    return next((each["status"] for each in obj["status"].get("conditions", []) if each["type"] == kind), "")


def log_lines(release: Release) -> list[Object]:
    """What the pods of items have logged lately."""
    lines = []
    for pod in release.pods("items"):
        lines += release.kube.logs(pod, tail=500).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]

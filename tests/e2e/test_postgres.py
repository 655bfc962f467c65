"""The Postgres pod goes away, its rows do not, and items says what it cannot do meanwhile."""

import time

import httpx2
import pytest

from tests.e2e import edge
from tests.e2e.kube import Kube, Object
from tests.e2e.pods import directly
from tests.e2e.releases import OwnRelease
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.e2e

OUTAGE_SECONDS = 120


def test_rows_survive_the_postgres_pod_and_items_answers_503_until_it_is_back(kube: Kube, release: OwnRelease) -> None:
    with release.client() as client:
        created = client.post("/v1/items", json=edge.make_item(name="Survivor"))
        assert created.status_code == 201, created.text
        items, postgres = release.pod("items"), release.pod("postgres")

        with directly(kube, items, 8000) as direct:
            direct.headers["Authorization"] = client.headers["Authorization"]
            kube.delete("Pod", postgres["metadata"]["name"], release.namespace)
            answers = through_outage(direct, release)

        rows = wait_until(
            "items lists again through the edge", lambda: listed(client), seconds=60, otherwise=release.report
        )
        assert created.json() in rows
        assert client.get(created.headers["location"]).json() == created.json()

    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {503}
    for answer in refused:
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["content-type"] == edge.PROBLEM
    assert release.pod("postgres")["metadata"]["uid"] != postgres["metadata"]["uid"]
    after = release.pod("items")
    assert after["metadata"]["uid"] == items["metadata"]["uid"], "items came back by another pod, not by itself"
    assert restarts(after) == restarts(items)


def through_outage(direct: httpx2.Client, release: OwnRelease) -> list[httpx2.Response]:
    """Every answer of items to a question for Postgres, from before the outage until after it."""
    answers: list[httpx2.Response] = []
    deadline = time.monotonic() + OUTAGE_SECONDS
    seen_outage = False
    while not (seen_outage and answers[-1].status_code == 200):
        assert time.monotonic() < deadline, f"outage seen: {seen_outage}, not over\n{release.report()}"
        answers.append(direct.get("/v1/items"))
        seen_outage = seen_outage or answers[-1].status_code != 200
        time.sleep(0.1)
    return answers


def listed(client: httpx2.Client) -> list[object]:
    """The caller's items, nothing while the edge or items refuses."""
    answer = client.get("/v1/items")
    rows: list[object] = answer.json()["items"] if answer.status_code == 200 else []
    return rows


def restarts(pod: Object) -> int:
    """How often its container was started again; other tests may have killed it before."""
    return int(pod["status"]["containerStatuses"][0]["restartCount"])

"""The gateway on the cluster: who gets the requests, what it counts, and what stands behind it when it is passed by."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest

from tests.e2e import edge
from tests.e2e.kube import Object
from tests.e2e.pods import directly, execute, start
from tests.e2e.releases import OwnRelease, Release
from tests.e2e.waiting import ready, wait_until
from tests.support.tokens import Issuer

pytestmark = pytest.mark.e2e

PODS, REQUESTS, THREADS = 3, 1500, 3
UNEVEN = 0.15
KNOWN_SECONDS = 20  # for a new pod: in DNS, looked up, and past its slow start
LIMIT, OFFERED = 100, 300
DECOY = "decoy"
ANSWER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b'{"decoy": true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
READY_FILE = "/tmp/ready"  # noqa: S108 - in a pod


def test_requests_are_spread_evenly_over_the_pods_and_a_new_one_gets_its_share(release: OwnRelease) -> None:
    with release.changed({"services": {"items": {"replicas": PODS - 1}}}), release.client() as client:
        first = shares(release, client)  # from now on there are connections, on both sides of the gateway
        assert len(first) == PODS - 1
        release.upgrade({"services": {"items": {"replicas": PODS}}})
        assert len(release.pods("items")) == PODS
        time.sleep(KNOWN_SECONDS)
        seen = shares(release, client)

    print(f"{REQUESTS} requests: {first}, then {seen}")
    assert len(seen) == PODS
    even(seen)


def shares(release: OwnRelease, client: httpx2.Client) -> list[int]:
    """How many of so many requests through the edge each pod of items has answered."""
    pods = release.pods("items")
    before = [answered(release, pod) for pod in pods]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda _: client.get("/v1/items").status_code, range(REQUESTS)))
    assert set(answers) == {200}
    counts = [int(answered(release, pod) - known) for pod, known in zip(pods, before, strict=True)]
    assert sum(counts) == REQUESTS, counts
    return counts


def answered(release: OwnRelease, pod: Object) -> float:
    """Lists that a pod has answered since it began."""
    return release.metric(pod, "http_requests_total", method="GET", handler="/v1/items", status="200")


def even(counts: list[int]) -> None:
    """Each within so much of the same share."""
    share = sum(counts) / len(counts)
    assert max(abs(count - share) for count in counts) <= UNEVEN * share, counts


def test_a_pod_that_is_not_ready_gets_nothing_and_gets_something_as_soon_as_it_is(release: OwnRelease) -> None:
    with release.client() as client, decoy(release) as pod:
        assert decoys(client, 300) == 0

        execute(release.kube, pod, "touch", READY_FILE)
        wait_until("the decoy answers", lambda: decoys(client, 20), seconds=60, otherwise=release.report)

        execute(release.kube, pod, "rm", READY_FILE)
        wait_until(
            "the decoy is not ready",
            lambda: not ready(release.kube.get("Pod", DECOY, release.namespace)),
            seconds=30,
            otherwise=release.report,
        )
        time.sleep(8)  # what DNS and the gateway may take to hear of it
        assert decoys(client, 300) == 0


@contextmanager
def decoy(release: OwnRelease) -> Iterator[Object]:
    """A pod with the labels of items that answers something else, and is ready only while a file is there."""
    labels = release.pod("items")["metadata"]["labels"]
    pod = start(
        release.kube, release.namespace, DECOY, release.pod("items")["spec"]["containers"][0]["image"],
        environment={}, command=["python", "-c", ANSWER], becomes_ready=False,
        labels={key: value for key, value in labels.items() if key.startswith("app.kubernetes.io/")},
        readinessProbe={"exec": {"command": ["test", "-e", READY_FILE]}, "periodSeconds": 1, "failureThreshold": 1},
    )  # fmt: skip
    try:
        yield pod
    finally:
        release.kube.delete("Pod", DECOY, release.namespace)
        wait_until(
            "the decoy is gone",
            lambda: not release.kube.exists("Pod", DECOY, release.namespace),
            seconds=60,
            otherwise=release.report,
        )


def decoys(client: httpx2.Client, number: int) -> int:
    """How many of so many answers are the decoy's."""
    return sum("decoy" in client.get("/v1/items").raise_for_status().json() for _ in range(number))


def test_with_the_gateway_passed_by_items_refuses_by_itself(release: OwnRelease) -> None:
    forged = Issuer(issuer=f"https://{release.host}:8443")
    with release.client() as client, directly(release.kube, release.pod("items"), 8000) as items:
        good = client.headers["Authorization"]

        assert items.get("/v1/items", headers={"Authorization": good}).status_code == 200
        for wrong in ({}, {"Authorization": f"{good}x"}, forged.headers(), {"X-User-ID": "alice"}):
            refused = items.get("/v1/items", headers=wrong)
            assert refused.status_code == 401, wrong
            assert refused.headers["content-type"] == edge.PROBLEM


def test_of_three_hundred_requests_over_two_gateways_exactly_one_hundred_pass(release: OwnRelease) -> None:
    limits = [{"per": "principal", "count": LIMIT, "seconds": 86_400}]  # one comes back in a quarter of an hour
    services = {"gateway": {"replicas": 2}, "items": {"routes": {"/v1/items": {"limits": limits}}}}
    with release.changed({"services": services}):
        machine = release.machine("counted")
        with edge.client(release.host) as client:
            wait_until(
                "the edge knows both gateways",
                lambda: client.get("/").status_code == 200,
                seconds=30,
                otherwise=release.report,
            )
            edge.sign_in(client, machine)
            gateways = release.pods("gateway")
            assert len(gateways) == 2
            before = [decided(release, pod) for pod in gateways]
            with ThreadPoolExecutor(THREADS) as pool:
                answers = list(pool.map(lambda _: client.get("/v1/items"), range(OFFERED)))
            by_each = [int(decided(release, pod) - known) for pod, known in zip(gateways, before, strict=True)]

    statuses = [answer.status_code for answer in answers]
    print(f"{OFFERED} requests over two gateways, {by_each}: {statuses.count(200)} passed")
    assert (statuses.count(200), statuses.count(429)) == (LIMIT, OFFERED - LIMIT)
    assert min(by_each) > 0
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["content-type"] == edge.PROBLEM
    assert int(refused.headers["retry-after"]) > 0


def decided(release: OwnRelease, pod: Object) -> float:
    """Requests of items that a gateway has let pass or refused."""
    return release.metric(pod, "http_requests_total", method="GET", handler="/v1/items")


def test_the_start_page_the_document_and_the_docs_come_through_the_edge(platform: Release) -> None:
    with edge.client(platform.host) as client:
        start_page = wait_until(
            "every service is on the start page, and answers",
            lambda: page if "does not answer" not in (page := page_of(client)) else "",
            seconds=60,
            otherwise=platform.report,
        )
        document = client.get("/openapi.json").raise_for_status()
        docs = client.get("/docs").raise_for_status()
        script = client.get("/docs/swagger-ui-bundle.js").raise_for_status()

    for service in ("gateway", "items", "auth"):
        assert f"<td>{service}</td>" in start_page
    paths = json.loads(document.text)["paths"]
    assert {"/v1/items", "/v1/users", "/oauth2/token"} <= paths.keys()
    assert "/docs/swagger-ui-bundle.js" in docs.text
    assert "script-src 'self'" in docs.headers["content-security-policy"]
    assert len(script.content) > 100_000


def page_of(client: httpx2.Client) -> str:
    """The start page as it is now."""
    return client.get("/").raise_for_status().text

"""Auth on the cluster: machines, revocation, keys that rotate, commands by the clock."""

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from k8s.local import commands
from tests.e2e import edge
from tests.e2e.kube import Object
from tests.e2e.pods import directly
from tests.e2e.releases import HelmError, OwnRelease, Release
from tests.e2e.waiting import felt_after, ready, wait_until

pytestmark = pytest.mark.e2e

FELT_SECONDS = 1.0
LEAD_SECONDS = 5
LONG_ENOUGH_SECONDS = 25  # a pod of auth is ready in less than half of it
TAKE_SECONDS = 0.7  # the gateway lets one address have two tokens a second
SHORT_LEAD = {"services": {"auth": {"replicas": 2, "env": {"KEY_PUBLISH_SECONDS": str(LEAD_SECONDS)}}}}
CRONS = ["keys", "clean"]


def test_a_machine_gets_a_token_and_creates_an_item_with_it(platform: Release) -> None:
    machine = platform.machine("alice")
    with platform.client() as client:
        discovered = client.get("/.well-known/oauth-authorization-server").raise_for_status().json()
        token = edge.token(client, machine)
        client.headers["Authorization"] = f"Bearer {token}"
        created = client.post("/v1/items", json=edge.make_item())
        refused = client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=("alice", "wrong"))

    assert discovered["token_endpoint"] == f"https://{platform.host}:8443/oauth2/token"
    claims = claims_of(token)
    assert (claims["iss"], claims["sub"], claims["aud"]) == (discovered["issuer"], "alice", "slipway")
    assert created.status_code == 201, created.text
    assert created.json()["owner"] == "alice"
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def test_a_disabled_client_is_refused_by_every_pod_of_items_within_a_second(release: OwnRelease) -> None:
    name = f"leaver-{secrets.token_hex(4)}"
    with release.changed({"services": {"items": {"replicas": 2}}}), ExitStack() as stack:
        with release.client(name) as client, release.client("alice") as other:
            leaver, stayer = client.headers["Authorization"], other.headers["Authorization"]
        pods = [stack.enter_context(directly(release.kube, pod, 8000)) for pod in release.pods("items")]
        assert len(pods) == 2
        assert statuses(pods, leaver) == [200, 200]

        release.operate("clients", "disable", name)

        felt = felt_after(lambda: statuses(pods, leaver) == [401, 401], f"both pods refuse {name}", release.report)
        print(f"refused by both pods {felt:.2f} s after the command ended")
        assert felt < FELT_SECONDS
        assert statuses(pods, stayer) == [200, 200]


def test_keys_rotate_under_traffic_while_the_pods_of_auth_go_in_turn_and_no_good_token_is_refused(
    release: OwnRelease,
) -> None:
    with release.changed(SHORT_LEAD), release.client() as client:
        before = signing_key(client, release)
        with traffic(release) as seen:
            release.operate("keys", "rotate", "--now")
            for pod in release.pods("auth"):
                replace(pod, release)
            time.sleep(LEAD_SECONDS)
            release.operate("keys", "rotate")
            wait_until(
                "another key signs",
                lambda: signing_key(client, release) != before,
                seconds=30,
                otherwise=release.report,
                pause_seconds=TAKE_SECONDS,
            )
            for pod in release.pods("auth"):
                replace(pod, release)
            after = signing_key(client, release)

    assert seen.failures == [], "\n".join([*seen.failures[:20], release.report()])
    assert {before, after} <= seen.keys
    assert seen.uses > 100


def test_a_wrong_key_encryption_key_stops_at_the_first_new_pod_and_a_rollback_brings_the_right_one(
    release: OwnRelease,
) -> None:
    [old] = release.pods("auth")
    wrong = {"services": {"auth": {"secretEnv": {"KEY_ENCRYPTION_KEY": {"value": secrets.token_hex(32)}}}}}
    try:
        with pytest.raises(HelmError):
            release.upgrade(wrong, seconds=LONG_ENOUGH_SECONDS)

        [new] = [pod for pod in release.pods("auth") if pod["metadata"]["uid"] != old["metadata"]["uid"]]
        assert not ready(new)
        log = commands.attempt(
            *release.kube.cluster.kubectl("-n", release.namespace, "logs", new["metadata"]["name"], "--tail=50")
        ).stdout
        assert "KEY_ENCRYPTION_KEY" in log, log
        with release.client() as client:  # the old pod signs on
            assert client.get("/v1/items").status_code == 200
    finally:
        release.helm("rollback", release.name, "--wait", "--timeout=120s")
    with release.client() as client:
        assert client.get("/v1/items").status_code == 200


@pytest.mark.parametrize("name", CRONS)
def test_a_command_by_the_clock_does_its_work(release: OwnRelease, name: str) -> None:
    job = f"{release.name}-once-{name}-{secrets.token_hex(3)}"
    kubectl = release.kube.cluster.kubectl
    cron = f"cronjob/{release.name}-auth-{name}"
    commands.run(*kubectl("-n", release.namespace, "create", "job", job, f"--from={cron}"))

    def ended() -> Object | None:
        found = release.kube.get("Job", job, release.namespace)["status"]
        return found if found.get("succeeded") or found.get("failed") else None

    status = wait_until(f"the Job {job} ends", ended, seconds=90, otherwise=release.report)
    assert status is not None
    assert status.get("succeeded") == 1, release.report()


def statuses(pods: list[httpx2.Client], authorization: str) -> list[int]:
    """What each pod answers to this token at this moment."""
    return [pod.get("/v1/items", headers={"Authorization": authorization}).status_code for pod in pods]


def signing_key(client: httpx2.Client, release: Release) -> str:
    """The `kid` of a token that is made now."""
    return key_of(edge.token(client, release.machine("alice")))


def key_of(token: str) -> str:
    """The `kid` in a token's header."""
    return str(part(token, 0)["kid"])


def claims_of(token: str) -> dict[str, Any]:
    """What a token says."""
    return part(token, 1)


def part(token: str, number: int) -> dict[str, Any]:
    """One part of a compact JWS."""
    text = token.split(".")[number]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return decoded


@dataclass
class Seen:
    """What came of the traffic."""

    uses: int = 0
    keys: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


@contextmanager
def traffic(release: Release) -> Iterator[Seen]:
    """Tokens are taken one after the other; the first and the newest nine are used in turn, without retries."""
    seen, stop, held = Seen(), threading.Event(), list[str]()
    machine = release.machine("alice")

    def take() -> None:
        with edge.client(release.host) as client:
            while not stop.is_set():
                answer = client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=machine)
                if noted(answer, seen):
                    token = answer.json()["access_token"]
                    seen.keys.add(key_of(token))
                    held[:] = [*held[:1], *held[1:][-8:], token]
                stop.wait(TAKE_SECONDS)

    def use() -> None:
        with edge.client(release.host) as client:
            while not stop.is_set():
                for token in tuple(held):
                    seen.uses += noted(client.get("/v1/items", headers={"Authorization": f"Bearer {token}"}), seen)
                stop.wait(0.02)

    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(take), pool.submit(use)]
        try:
            yield seen
        finally:
            stop.set()
    for worker in workers:
        worker.result()


def noted(answer: httpx2.Response, seen: Seen) -> bool:
    """Whether it is good; else it is kept."""
    if answer.status_code != 200:
        seen.failures.append(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:200]}"
        )
    return answer.status_code == 200


def replace(pod: Object, release: Release) -> None:
    """Delete a pod of auth and wait until there are as many as before, all ready."""
    number = len(release.pods("auth"))
    release.kube.delete("Pod", pod["metadata"]["name"], release.namespace)

    def replaced() -> bool:
        pods = release.pods("auth")
        uids = {each["metadata"]["uid"] for each in pods}
        return len(pods) == number and pod["metadata"]["uid"] not in uids and all(map(ready, pods))

    wait_until(f"another pod stands in for {pod['metadata']['name']}", replaced, seconds=90, otherwise=release.report)

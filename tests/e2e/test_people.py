"""People on the cluster: sessions, tokens and passwords, through the gateway, while auth is changed under them."""

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx2
import pytest

from tests.e2e import edge
from tests.e2e.kube import Object
from tests.e2e.people import TOKEN_PAUSE_SECONDS, Browser, Family, Person, events, make_app, make_person
from tests.e2e.pods import directly, execute
from tests.e2e.releases import OwnRelease
from tests.e2e.waiting import felt_after, ready, wait_until

pytestmark = pytest.mark.e2e

FELT_SECONDS = 1.0
RETRY_SECONDS = 10  # so long a refresh token may be redeemed again by who has lost the answer
KILL_SECONDS = 8.0
ANOTHER = "nine loud geese overhead"
TWO = {"services": {"auth": {"replicas": 2}, "items": {"replicas": 2}}}
# inside a pod of auth: whether Postgres lets this login in
LOGIN = """
import asyncio, asyncpg, sys
async def main():
    try:
        connection = await asyncpg.connect(sys.argv[1].split("?")[0], timeout=5)
        await connection.close()
        print("let in")
    except asyncpg.PostgresError as error:
        print("refused:", type(error).__name__)
asyncio.run(main())
"""


def test_a_replayed_refresh_token_ends_its_family_and_no_other(release: OwnRelease) -> None:
    with release.changed(TWO):
        app = make_app(release)
        person = make_person(release, "editor")
        stolen, other = person.grant(app), person.grant(app)
        first = stolen.refresh_token
        assert stolen.refresh().status_code == 200
        time.sleep(RETRY_SECONDS + 1)
        before = [stolen.use().status_code, other.use().status_code]

        thief = Family(edge.client(release.host), app)
        replayed = thief.refresh(first)
        refused_everywhere(release, stolen)
        held = stolen.refresh()
        time.sleep(TOKEN_PAUSE_SECONDS)
        going_on = other.refresh()

    assert before == [200, 200]
    assert (replayed.status_code, replayed.json()["error"]) == (400, "invalid_grant")
    assert (held.status_code, held.json()["error"]) == (400, "invalid_grant")
    assert going_on.status_code == 200
    assert len(events(release, "token_replayed", client=app)) == 1


def test_a_password_is_changed_under_traffic_and_what_stood_on_the_old_one_ends_at_once(release: OwnRelease) -> None:
    with release.changed(TWO):
        app = make_app(release)
        person = make_person(release, "editor")
        family = person.grant(app)
        elsewhere = Person(release, person.email, person.password, Browser(release.host))
        elsewhere.sign_in()
        with traffic(release, app) as seen:
            seen.wait_for(20, release)
            person.browser.go("/account/password")
            page = person.browser.send("/account/password", password=person.password, new_password=ANOTHER)
            refused_everywhere(release, family)
            seen.wait_for(seen.uses + 20, release)

        assert "Your password is changed" in page.text
        assert person.browser.go("/account").status == 200
        assert elsewhere.browser.go("/account").has_form("/login")
        assert elsewhere.sign_in().has_form("/login")  # with the old password
        elsewhere.sign_in(ANOTHER)
        assert person.email in elsewhere.browser.go("/account").text
        time.sleep(TOKEN_PAUSE_SECONDS)
        assert family.refresh().status_code == 400

    assert seen.failures == [], "\n".join([*seen.failures[:20], release.report()])  # others noticed nothing


def test_database_logins_rotate_under_traffic_while_auths_pods_go_in_turn_and_nobody_is_signed_out(
    release: OwnRelease,
) -> None:
    before = database_url(release)
    with release.changed(TWO):
        app = make_app(release)
        with traffic(release, app) as seen, killing(release):
            release.values = {**release.values, "postgres": {"rotation": 1}}
            release.upgrade(TWO)
        after = database_url(release)
        pod = next(pod for pod in release.pods("auth") if ready(pod))
        logins = [execute(release.kube, pod, "python", "-c", LOGIN, url).strip() for url in (before, after)]

    assert "_app_a:" in before
    assert "_app_b:" in after
    assert logins[0].startswith("refused: Invalid")
    assert logins[1] == "let in"
    assert seen.failures == [], "\n".join([*seen.failures[:20], release.report()])
    assert seen.uses > 20
    assert seen.refreshes > 5
    print(f"{seen.uses} uses, {seen.refreshes} refreshes, answers to try again: {seen.again}")


def database_url(release: OwnRelease) -> str:
    """The URL of auth's login in use."""
    secret = release.kube.get("Secret", f"{release.name}-auth-database", release.namespace)
    return base64.b64decode(secret["data"]["app-url"]).decode()


def refused_everywhere(release: OwnRelease, family: Family) -> None:
    """Every pod of items refuses the token within a second, and the gateway's ways to it do."""
    with ExitStack() as stack:
        pods = [stack.enter_context(directly(release.kube, pod, 8000)) for pod in release.pods("items")]

        def statuses() -> list[int]:
            return [pod.get("/v1/items", headers=family.headers).status_code for pod in pods] + [
                family.use().status_code
            ]

        felt = felt_after(lambda: set(statuses()) == {401}, "everybody refuses the token", release.report)
        assert felt < FELT_SECONDS


@dataclass
class Traffic:
    """A person uses a token and a session and refreshes, a machine takes tokens and uses them, all the time."""

    person: Person
    family: Family
    machine: edge.Machine
    stop: threading.Event = field(default_factory=threading.Event)
    uses: int = 0
    refreshes: int = 0
    again: int = 0
    failures: list[str] = field(default_factory=list)

    def note(self, answer: httpx2.Response, what: str) -> bool:
        """Whether it is good; what asks to try again is a stated answer, everything else a failure."""
        if answer.status_code == 503 and "retry-after" in answer.headers:
            self.again += 1
        elif answer.status_code != 200:
            self.failures.append(f"{what}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code == 200

    def wait_for(self, uses: int, release: OwnRelease) -> None:
        """Return once so many were good."""
        wait_until(f"{uses} uses", lambda: self.uses >= uses or self.failures, seconds=30, otherwise=release.report)

    def refresh(self) -> None:
        while not self.stop.wait(2 * TOKEN_PAUSE_SECONDS):
            # after an answer to try again the same token is sent again: were it lost, the next would be a replay
            self.refreshes += self.note(self.family.refresh(), "refresh")

    def use(self) -> None:
        with edge.client(self.person.release.host) as client:
            while not self.stop.wait(0.1):
                self.uses += self.note(client.get("/v1/items", headers=self.family.headers), "use")

    def look(self) -> None:
        while not self.stop.wait(0.5):
            answer = self.person.browser.http.get("/account")
            if self.note(answer, "account") and self.person.email not in answer.text:
                self.failures.append("account: somebody else's, or nobody's")

    def take(self) -> None:
        with edge.client(self.person.release.host) as client:
            while not self.stop.wait(2 * TOKEN_PAUSE_SECONDS):
                answer = client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=self.machine)
                if self.note(answer, "token"):
                    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
                    self.uses += self.note(client.get("/v1/items", headers=bearer), "use of a new token")


@contextmanager
def traffic(release: OwnRelease, app: str) -> Iterator[Traffic]:
    """All of that for as long as the block lasts."""
    person = make_person(release, "editor")
    seen = Traffic(person, person.grant(app), release.machine("alice"))
    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work) for work in (seen.refresh, seen.use, seen.look, seen.take)]
        try:
            yield seen
        finally:
            seen.stop.set()
    for worker in workers:
        worker.result()


@contextmanager
def killing(release: OwnRelease) -> Iterator[None]:
    """Pods of auth are deleted in turn, one every eight seconds, while another is ready."""
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(KILL_SECONDS):
            pods = [pod for pod in release.pods("auth") if ready(pod)]
            if len(pods) > 1:
                release.kube.delete("Pod", oldest(pods)["metadata"]["name"], release.namespace)

    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(kill)
        try:
            yield
        finally:
            stop.set()
    worker.result()


def oldest(pods: list[Object]) -> Object:
    """The one that was made first."""
    return min(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

"""What can happen to a release, and the ledger that its clients keep meanwhile."""

import os
import signal
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from k8s.local import commands, paths
from tests.e2e import edge
from tests.e2e.kube import Object
from tests.e2e.ledger import results
from tests.e2e.ledger.book import READS, WRITES, Book
from tests.e2e.ledger.caller import Retries
from tests.e2e.ledger.findings import Findings, Row, judge, rows_query
from tests.e2e.ledger.table import table
from tests.e2e.ledger.workers import Ledger
from tests.e2e.pods import execute
from tests.e2e.releases import OwnRelease, Release
from tests.e2e.waiting import ready, wait_until

SIGN_IN_SECONDS = 1.5  # auth has to be there for that; the gateway lets an address ask for 120 tokens a minute

Event = Callable[[], None]


def through(
    release: Release, test: str, event: Event, said: str, retries: Retries, *, most: int = 1
) -> tuple[Findings, Book]:
    """Keep a ledger around an event, which ends when the platform is whole again; print and keep the figures.

    The event comes again, `most` times at most, until a request has failed: for what harms only by chance.
    """
    context = ssl.create_default_context(cafile=str(paths.ca_certificate()))
    with release.client("ledger"):  # waits until it answers
        machine = release.machine("ledger")
    ledger = Ledger(lambda: edge.client(release.host, context=context), machine, sign_in_seconds=SIGN_IN_SECONDS)
    with ledger.working(retries):
        wait_until("some writes are done", lambda: len(ledger.book.entries) > 60, seconds=30, otherwise=release.report)
        for _ in range(most):
            event()
            if any(not entry.served for entry in ledger.book.of(*WRITES, *READS)):
                break
        asked = len(ledger.book.entries)
        wait_until("more are", lambda: len(ledger.book.entries) > asked + 60, seconds=60, otherwise=release.report)
    found = judge(ledger.book, rows(release, ledger.run))
    keep(results.result(said, test, ledger.book, found, retries))
    return found, ledger.book


def keep(result: results.Result) -> None:
    """Print the line of the table, and add it to those of this machine."""
    file = paths.cache() / "disruption.json"
    results.write(results.merged(results.read(file), [result]), file)
    print(f"\n{table([result])}{result.answers}\nkept in {file}")


def rows(release: Release, run: str) -> list[Row]:
    """What the database has of a run, asked of Postgres itself."""
    psql = ("psql", "-h", "/tmp", "-U", "postgres", "-d", "items", "-X", "-A", "-t", "-F", " ", "-c", rows_query(run))  # noqa: S108 - a socket
    lines = execute(release.kube, release.pod("postgres"), *psql).splitlines()
    return [(name, int(price)) for name, price in (line.split() for line in lines if line)]


def roll(release: OwnRelease, service: str) -> None:
    """`kubectl rollout restart`, until the old pods are gone."""
    kubectl, deployment = release.kube.cluster.kubectl, f"deployment/{release.name}-{service}"
    commands.run(*kubectl("-n", release.namespace, "rollout", "restart", deployment))
    commands.run(*kubectl("-n", release.namespace, "rollout", "status", deployment, "--timeout=90s"), timeout=100)
    settle(release, service)


def settle(release: Release, component: str) -> None:
    """Wait until no pod of a component is on its way out or not ready yet."""

    def whole() -> bool:
        pods = release.objects("Pod", component)
        return bool(pods) and all(ready(pod) for pod in pods if pod["spec"]["restartPolicy"] == "Always")

    wait_until(f"{component} is whole", whole, seconds=120, otherwise=release.report)


def kill(release: Release, component: str) -> None:
    """SIGKILL to each pod of a component in turn, until it is ready again in the same place or another."""
    for pod in release.pods(component):
        uid, before = pod["metadata"]["uid"], restarts(pod)
        if not kill_processes(release, pod):
            delete_at_once(release, pod)

        def again(uid: str = uid, before: int = before) -> bool:
            pods = release.pods(component)
            same = next((each for each in pods if each["metadata"]["uid"] == uid), None)
            return bool(pods) and all(map(ready, pods)) and (same is None or restarts(same) > before)

        wait_until(f"{component} is up again", again, seconds=120, otherwise=release.report)


def restarts(pod: Object) -> int:
    """How often the pod's containers were started again."""
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))


def kill_processes(release: Release, pod: Object) -> bool:
    """Send SIGKILL to all processes of a pod's containers where they run on this machine; whether there were any.

    From inside a container nothing kills its first process: the kernel does not let it.
    """
    if release.kube.cluster.provider != "node":
        return False
    containers = [status["containerID"].rpartition("/")[2] for status in pod["status"]["containerStatuses"]]
    found = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and in_one_of(each, containers)]
    for pid in found:
        with suppress(ProcessLookupError):  # it went with the first one
            os.kill(pid, signal.SIGKILL)
    return bool(found)


def in_one_of(process: Path, containers: list[str]) -> bool:
    """Whether a process, by its folder in /proc, is in the cgroup of one of these containers."""
    try:
        groups = (process / "cgroup").read_text()
    except OSError:  # it has ended
        return False
    return any(container in groups for container in containers)


def delete_at_once(release: Release, pod: Object) -> None:
    """`kubectl delete --force`: the nearest to it where the processes are on another machine."""
    meta = pod["metadata"]
    command = ("-n", meta["namespace"], "delete", "pod", meta["name"], "--grace-period=0", "--force", "--wait=false")
    commands.run(*release.kube.cluster.kubectl(*command))

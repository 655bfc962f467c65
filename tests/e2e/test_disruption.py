"""Clients keep a ledger while pods are replaced, fewer or killed: nothing acknowledged is lost, nothing done twice."""

from contextlib import ExitStack
from functools import partial

import pytest

from tests.e2e.disruption import kill, roll, settle, through
from tests.e2e.ledger.book import Book
from tests.e2e.ledger.caller import NONE, PATIENT
from tests.e2e.ledger.findings import Findings
from tests.e2e.releases import OwnRelease

pytestmark = pytest.mark.e2e

SERVICES = ("gateway", "items", "auth")


def test_a_rolling_update_of_each_service_is_noticed_by_nobody(
    release: OwnRelease, request: pytest.FixtureRequest
) -> None:
    """Without a single repetition by the clients."""
    for service in SERVICES:
        event = partial(roll, release, service)
        found, book = through(release, name(request), event, f"rolling update of {service}", NONE)

        assert not found, explained(found, release)
        assert answers(book) == {"200", "201"}


@pytest.mark.full
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_goes_from_one_pod_to_three_is_noticed_by_nobody(
    release: OwnRelease, request: pytest.FixtureRequest, service: str
) -> None:
    """Two start beside the one that serves, and then have requests with nothing warm yet."""
    with ExitStack() as stack:

        def more() -> None:
            stack.enter_context(release.changed({"services": {service: {"replicas": 3}}}))
            settle(release, service)
            assert len(release.pods(service)) == 3

        found, book = through(release, name(request), more, f"{service} from one pod to three", NONE)

    assert not found, explained(found, release)
    assert answers(book) == {"200", "201"}


@pytest.mark.full
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_goes_from_three_pods_to_one_is_noticed_by_nobody(
    release: OwnRelease, request: pytest.FixtureRequest, service: str
) -> None:
    def fewer() -> None:
        release.upgrade()
        settle(release, service)

    with release.changed({"services": {service: {"replicas": 3}}}):
        found, book = through(release, name(request), fewer, f"{service} from three pods to one", NONE)

    assert not found, explained(found, release)
    assert answers(book) == {"200", "201"}


def test_each_service_pod_killed_loses_nothing_and_doubles_nothing(
    release: OwnRelease, request: pytest.FixtureRequest
) -> None:
    """With the repetitions of a client library, and no more; whoever asks for a token meanwhile may not get one."""
    for service in SERVICES:
        event = partial(kill, release, service)
        found, _ = through(release, name(request), event, f"pod of {service} killed", PATIENT)

        edges_own = "bare_refusals" if service == "gateway" else ""  # nobody else is there to answer
        assert not found.but("failed_sign_ins", "slow_requests", edges_own), explained(found, release)


@pytest.mark.full
@pytest.mark.parametrize("service", ["gateway", "items"])
def test_without_its_drain_a_rolling_update_is_noticed(
    release: OwnRelease, request: pytest.FixtureRequest, service: str
) -> None:
    """Whoever asks in the moment between a pod's end and the news of it fails: not in every update, but soon.

    The gateway hears of it when it asks DNS again, the edge at once, and so its moment is the shorter one.
    """
    event = partial(roll, release, service)
    said = f"rolling updates of {service} without its drain, until one is noticed"
    with release.changed({"services": {service: {"drainSeconds": 0}}}):
        found, _ = through(release, name(request), event, said, NONE, most=6)

    assert found.failed_writes or found.failed_reads, explained(found, release)
    assert found.lost_writes == found.doubled_writes == found.stale_reads == [], explained(found, release)


def test_postgres_killed_is_answered_503_with_retry_after_and_no_acknowledged_write_is_lost(
    release: OwnRelease, request: pytest.FixtureRequest
) -> None:
    found, book = through(release, name(request), lambda: kill(release, "postgres"), "Postgres killed", PATIENT)

    assert not found.but("failed_sign_ins", "slow_requests"), explained(found, release)
    assert answers(book) == {"200", "201", "503"}


@pytest.mark.parametrize("store", ["cache", "state"])
def test_a_redis_killed_costs_no_answer(release: OwnRelease, request: pytest.FixtureRequest, store: str) -> None:
    found, book = through(release, name(request), lambda: kill(release, store), f"Redis ({store}) killed", NONE)

    assert not found, explained(found, release)
    assert answers(book) == {"200", "201"}


def name(request: pytest.FixtureRequest) -> str:
    """The test as the table names it."""
    return f"tests/e2e/test_disruption.py::{request.node.originalname}"


def answers(book: Book) -> set[str]:
    """How attempts at reading and writing ended."""
    return {attempt.outcome for entry in book.of("create", "replace", "read", "list") for attempt in entry.attempts}


def explained(found: Findings, release: OwnRelease) -> str:
    """What a failure shows."""
    return f"{found}\n{release.report()}"

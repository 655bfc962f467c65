"""Clients of the whole platform keep a ledger while its processes and servers go, one after the other."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.e2e.ledger.caller import NONE, PATIENT, Retries
from tests.e2e.ledger.findings import Findings, judge
from tests.e2e.ledger.workers import Ledger
from tests.gateway.platform import TOKEN_SECONDS, Platform, platform
from tests.support.databases import execute
from tests.support.servers import Server

pytestmark = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="starts servers of its own")

AROUND = 8  # items that are made before and after it, undisturbed
AROUND_SECONDS = 60  # at most, on a busy machine
SERVICES = ("gateway", "items", "auth")


@pytest.fixture(scope="module")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("platform")) as made:
        yield made


def outcomes(ledger: Ledger) -> Counter[str]:
    """How many attempts ended how so far."""
    return Counter(attempt.outcome for entry in list(ledger.book.entries) for attempt in list(entry.attempts))


def work(ledger: Ledger) -> None:
    """Wait until some more items are made. Raises TimeoutError with how attempts ended meanwhile."""
    enough, deadline = outcomes(ledger)["201"] + AROUND, time.monotonic() + AROUND_SECONDS
    while (now := outcomes(ledger))["201"] < enough:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{AROUND} more items were not made within {AROUND_SECONDS} s: {now}")
        time.sleep(0.05)


def through(
    slipway: Platform, event: Callable[[], None], retries: Retries = PATIENT, *, timeout_seconds: float = 10
) -> tuple[Findings, Counter[str]]:
    """What the ledger finds around an event, and how many attempts ended how."""
    ledger = Ledger(partial(slipway.client, timeout_seconds=timeout_seconds), slipway.machine)
    with ledger.working(retries):
        work(ledger)
        event()
        work(ledger)
    answers = outcomes(ledger)
    print(answers)
    assert answers["201"] > 10
    return judge(ledger.book, slipway.rows(ledger.run)), answers


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_told_to_stop_pod_by_pod_is_noticed_by_nobody(slipway: Platform, service: str) -> None:
    """Without a single repetition by the clients."""
    found, answers = through(slipway, lambda: slipway.roll(service), NONE)

    assert not found, f"{found}\n{slipway.logs()}"
    assert answers.keys() == {"200", "201"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_killed_pod_by_pod_loses_nothing_and_doubles_nothing(slipway: Platform, service: str) -> None:
    found, _ = through(slipway, lambda: slipway.kill(service))

    assert not found.but("failed_sign_ins"), f"{found}\n{slipway.logs()}"


def test_a_killed_pod_of_two_fails_only_what_the_gateway_may_not_repeat(slipway: Platform) -> None:
    """To clients that repeat nothing: it asks the other pod by itself, but for a POST whose answer was cut off."""
    found, _ = through(slipway, lambda: slipway.kill("items"), NONE)

    assert all(failed.startswith("create ") for failed in found.failed_writes), str(found)
    assert not found.but("failed_writes"), f"{found}\n{slipway.logs()}"


def test_a_request_that_its_client_gave_up_and_repeats_is_done_once(slipway: Platform) -> None:
    """Clients give up after a second, and no answer to a key can be kept for two: the first tries are cancelled."""

    def held_up() -> None:
        items = slipway.variables["items"]["DATABASE_URL"]
        execute(items, "BEGIN", "LOCK TABLE kept_answers IN EXCLUSIVE MODE", "SELECT pg_sleep(2)", "COMMIT")

    found, answers = through(slipway, held_up, timeout_seconds=1)

    assert answers["ReadTimeout"]
    assert not found, f"{found}\n{slipway.logs()}"


@pytest.mark.parametrize("service", ["gateway", "items"])
def test_without_its_drain_a_pod_that_hands_over_to_its_successor_is_noticed(slipway: Platform, service: str) -> None:
    with slipway.alone(service):
        drained, _ = through(slipway, lambda: slipway.hand_over(service), NONE)
    with slipway.alone(service, DRAIN_SECONDS="0"):
        abrupt, _ = through(slipway, lambda: slipway.hand_over(service), NONE)

    assert not drained, f"{drained}\n{slipway.logs()}"
    assert abrupt.failed_writes
    assert abrupt.failed_reads
    assert not abrupt.but("failed_writes", "failed_reads", "failed_sign_ins"), f"{abrupt}\n{slipway.logs()}"


@pytest.mark.parametrize("name", ["cache", "state"])
def test_a_redis_that_is_killed_costs_no_answer(slipway: Platform, name: str) -> None:
    found, answers = through(slipway, lambda: killed(getattr(slipway, name)))

    assert not found, f"{found}\n{slipway.logs()}"
    assert answers.keys() == {"200", "201"}


def test_while_postgres_is_killed_and_comes_back_clients_get_503_and_lose_nothing(slipway: Platform) -> None:
    """It is stated: a problem document with Retry-After, whatever was asked."""
    found, answers = through(slipway, lambda: killed(slipway.postgres))

    assert not found.but("failed_sign_ins"), f"{found}\n{slipway.logs()}"
    assert answers.keys() == {"200", "201", "503"}


def test_keys_that_rotate_while_auth_is_away_make_503_and_no_401(slipway: Platform) -> None:
    """Whoever checks tokens asks auth-1 for the keys; auth-2 goes on and signs with the new one."""

    def rotated() -> None:
        before = signing_key(slipway)
        slipway.lose("auth-1")
        slipway.operate("keys", "rotate", "--now")
        slipway.operate("keys", "rotate")
        assert signing_key(slipway) != before
        time.sleep(TOKEN_SECONDS)  # by then every token is of the new key
        slipway.start("auth-1")

    found, answers = through(slipway, rotated, Retries(attempts=30, seconds=30))

    assert not found.but("slow_requests"), f"{found}\n{slipway.logs()}"
    assert answers.keys() == {"200", "201", "503"}


def killed(server: Server) -> None:
    """A server that is killed, away for a second, and back."""
    server.kill()
    time.sleep(1)
    server.start()


def signing_key(slipway: Platform) -> str:
    """The id of the key that signs."""
    return next(line.split()[0] for line in slipway.operate("keys", "list").splitlines() if " signing " in line)

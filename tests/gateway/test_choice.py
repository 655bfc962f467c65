"""The rules of choice, ejection and second attempts, by a clock of the test's own."""

import random
from collections import Counter

import pytest

from services.gateway.balancer import choose
from services.gateway.client import REPLAY_BYTES, Request, RequestBody
from services.gateway.exceptions import BrokenAnswerError, ConnectError, SlowAnswerError, UpstreamError
from services.gateway.pods import LONGEST_EJECTION_SECONDS, Pod
from services.gateway.retries import FLOOR, RetryBudget
from services.gateway.upstreams import may_retry


def pods(count: int) -> list[Pod]:
    return [Pod((f"10.0.0.{number}", 80), born=None) for number in range(1, count + 1)]


def chosen(of: list[Pod], count: int = 3000, now: float = 0, slow_start_seconds: float = 10) -> Counter[str]:
    random.seed(1)
    found: Counter[str] = Counter()
    for _ in range(count):
        pod = choose(of, now, slow_start_seconds=slow_start_seconds)
        assert pod is not None
        found[pod.address[0]] += 1
    return found


def test_equal_pods_get_equal_shares() -> None:
    for count in (2, 3, 10):
        shares = chosen(pods(count), 1000 * count)
        assert all(850 <= share <= 1150 for share in shares.values())
        assert len(shares) == count


def test_the_busiest_pod_gets_nothing_as_long_as_another_is_free() -> None:
    three = pods(3)
    three[0].in_flight = 5

    assert chosen(three)["10.0.0.1"] == 0


def test_without_pods_there_is_no_choice() -> None:
    assert choose([], 0, slow_start_seconds=10) is None
    [only] = pods(1)
    assert choose([only], 0, slow_start_seconds=10) is only
    assert choose([only], 0, slow_start_seconds=10, without=[only]) is None


def test_a_new_pod_begins_with_a_small_share_that_grows_to_a_whole_one() -> None:
    shares = []
    for age in (0, 2.5, 5, 10):
        old = pods(3)
        new = Pod(("10.0.0.9", 80), born=100)
        shares.append(chosen([*old, new], 4000, now=100 + age)["10.0.0.9"] / 4000)

    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.05
    assert 0.15 / 4 < shares[1] < shares[2] < 0.9 / 4
    assert 0.85 / 4 < shares[3] < 1.15 / 4


def test_a_refused_connection_ejects_at_once_and_broken_answers_when_there_are_some_in_a_row() -> None:
    first, second = pods(2)
    assert first.failed(0, refused=True)
    assert not first.is_usable(0.9)

    for _ in range(2):
        assert not second.failed(0, refused=False)
    second.succeeded()
    for _ in range(2):
        assert not second.failed(0, refused=False)
    assert second.is_usable(0)
    assert second.failed(0, refused=False)
    assert not second.is_usable(0.9)


def test_after_its_time_an_ejected_pod_gets_one_request_and_all_when_that_goes_well() -> None:
    [pod] = pods(1)
    pod.failed(0, refused=True)
    assert pod.is_usable(1)
    pod.begin()
    assert not pod.is_usable(1)
    pod.succeeded()
    assert pod.is_usable(1)
    assert pod.ejections == 0


def test_one_broken_answer_to_that_one_request_ejects_it_again() -> None:
    [pod] = pods(1)
    pod.failed(0, refused=True)
    pod.begin()

    assert pod.failed(1, refused=False)
    assert not pod.is_usable(2.9)
    pod.end()
    assert pod.is_usable(3)


def test_each_ejection_in_a_row_lasts_twice_as_long_to_a_bound() -> None:
    [pod] = pods(1)
    now, lasted = 0.0, []
    for _ in range(8):
        assert pod.failed(now, refused=True)
        until = now
        while not pod.is_usable(until):
            until += 0.5
        lasted.append(until - now)
        now = until
        pod.begin()
        pod.end()

    assert lasted == [1, 2, 4, 8, 16, 30, 30, 30]
    assert max(lasted) == LONGEST_EJECTION_SECONDS


def test_failures_of_requests_that_were_under_way_do_not_lengthen_an_ejection() -> None:
    [pod] = pods(1)
    assert pod.failed(0, refused=True)
    for _ in range(50):
        assert not pod.failed(0.5, refused=True)

    assert pod.is_usable(1)


def test_when_all_are_ejected_all_are_asked() -> None:
    three = pods(3)
    for pod in three:
        pod.failed(0, refused=True)

    assert len(chosen(three)) == 3


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("requests", [1, 50, 100, 1000, 7777])
def test_a_fifth_of_the_requests_of_ten_seconds_may_be_retries(requests: int) -> None:
    clock = Clock()
    budget = RetryBudget(clock=clock)
    granted = 0
    for number in range(requests):
        clock.now = 9 * number / requests
        budget.request()
        granted += budget.take()
    assert granted <= max(FLOOR, 0.2 * requests)
    assert granted >= min(requests, FLOOR, 0.2 * requests)

    clock.now = int(clock.now) + 10  # not one second longer is anything remembered
    assert [budget.take() for _ in range(FLOOR + 1)] == [True] * FLOOR + [False]


def request(method: str, body: RequestBody, *, upgrade: bool = False) -> Request:
    return Request(method, b"/", [], body, 1, upgrade)


async def received(*parts: bytes) -> RequestBody:
    """A body of which all has been read."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    body = RequestBody(receive, length=None, chunked=True)
    assert [part async for part in body.parts()] == [part for part in parts if part]
    return body


BROKEN, HALF = BrokenAnswerError("reset", begun=False), BrokenAnswerError("reset", begun=True)
REFUSED, SLOW = ConnectError("refused"), SlowAnswerError("no answer")


@pytest.mark.parametrize(
    ("method", "size", "error", "again"),
    [
        ("GET", 0, REFUSED, True),
        ("POST", 0, REFUSED, True),
        ("POST", REPLAY_BYTES + 1, REFUSED, True),
        ("GET", 0, BROKEN, True),
        ("HEAD", 0, BROKEN, True),
        ("DELETE", 0, BROKEN, True),
        ("PUT", 100, BROKEN, True),
        ("PUT", REPLAY_BYTES, BROKEN, True),
        ("PUT", REPLAY_BYTES + 1, BROKEN, False),
        ("POST", 0, BROKEN, False),
        ("POST", 1, BROKEN, False),
        ("PATCH", 1, BROKEN, False),
        ("GET", 0, HALF, False),
        ("PUT", 1, HALF, False),
        ("GET", 0, SLOW, False),
        ("POST", 0, SLOW, False),
    ],
)
async def test_a_request_is_sent_again_only_where_that_does_no_harm(
    method: str, size: int, error: UpstreamError, *, again: bool
) -> None:
    assert may_retry(request(method, await received(b"x" * size)), error) is again
    if method == "GET":
        assert may_retry(request(method, await received(), upgrade=True), error) is isinstance(error, ConnectError)


async def test_a_short_body_can_be_read_twice_and_a_long_one_cannot() -> None:
    short = await received(b"ab", b"cd")
    assert [part async for part in short.parts()] == [b"ab", b"cd"]

    long = await received(b"x" * REPLAY_BYTES, b"y")
    assert not long.replayable

"""The autoscaler of items, under load through the edge."""

from collections import Counter
from http import HTTPStatus

import pytest

from tests.e2e.load import load
from tests.e2e.releases import Release
from tests.e2e.waiting import ready, wait_until

pytestmark = pytest.mark.e2e

UP_SECONDS, DOWN_SECONDS = 150, 240


def test_load_scales_items_up_and_no_request_fails(platform: Release) -> None:
    scale_up(platform)


@pytest.mark.full
def test_items_scales_down_when_the_load_is_gone(platform: Release) -> None:
    scale_up(platform)

    wait_for_pods(platform, limits(platform)[0], DOWN_SECONDS)


def scale_up(platform: Release) -> None:
    """From the fewest pods to more that are ready, while requests keep coming and all are answered."""
    fewest, most = limits(platform)
    assert fewest < most
    wait_for_pods(platform, fewest, DOWN_SECONDS)
    with platform.client() as client, load(client, "/v1/items?limit=100") as seen:
        wait_until(
            f"more than {fewest} pods of items are ready under load",
            lambda: ready_pods(platform) > fewest,
            seconds=UP_SECONDS,
            otherwise=lambda: explain(platform),
        )
    print(f"answers while pods of items were added: {Counter(seen)}")
    assert HTTPStatus.OK in seen
    assert {*seen} <= {HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS}, Counter(
        seen
    )  # the gateway's own limit is no failure


def wait_for_pods(platform: Release, number: int, seconds: float) -> None:
    """Wait until exactly so many pods are there, all ready."""
    wait_until(
        f"{number} pods of items",
        lambda: ready_pods(platform) == len(platform.pods("items")) == number,
        seconds=seconds,
        otherwise=lambda: explain(platform),
        pause_seconds=2,
    )


def limits(platform: Release) -> tuple[int, int]:
    """The fewest and the most pods that the autoscaler may make of items."""
    [autoscaler] = platform.objects("HorizontalPodAutoscaler", "items")
    return autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]


def ready_pods(platform: Release) -> int:
    return sum(ready(pod) for pod in platform.pods("items"))


def explain(platform: Release) -> str:
    """What the autoscaler saw and decided."""
    [autoscaler] = platform.objects("HorizontalPodAutoscaler", "items")
    return f"{autoscaler['status']}\n{platform.report()}"

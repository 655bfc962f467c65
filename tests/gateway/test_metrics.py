"""Labels of the gateway: route templates also for what it forwards, pods only while they are there."""

import pytest

from services.gateway import pods
from services.gateway.metrics import PodHealth
from services.gateway.pods import Pod as KnownPod
from tests.gateway.conftest import MakeGateway, Pod
from tests.support import waits
from tests.support.series import COUNT, TURN, flood, series, words
from tests.support.servers import free_port
from tests.support.tokens import Issuer

USERS = 300


async def test_what_is_forwarded_is_counted_by_its_route(make_gateway: MakeGateway, recorder: Pod) -> None:
    async with make_gateway({"/v1/items": recorder.url}) as gateway:
        for path in ("/v1/items", "/v1/items/7", "/v1/items/7/parts", "/v1/nothing", "/docs/nothing"):
            await gateway.client.get(path)

        assert gateway.sample("http_requests_total", method="GET", handler="/v1/items", status="200") == 3
        assert gateway.sample("http_requests_total", method="GET", handler="none", status="404") == 1
        assert gateway.sample("http_requests_total", method="GET", handler="/docs/{name}", status="404") == 1


async def test_ten_thousand_ids_paths_users_and_methods_leave_the_number_of_series_unchanged(
    make_gateway: MakeGateway, recorder: Pod, issuer: Issuer
) -> None:
    routes = {"/v1/items": {"upstream": recorder.url, "public": False}, "/v1/open": recorder.url}
    users = [issuer.token(sub=f"user-{number}") for number in range(USERS)]
    async with make_gateway(routes) as gateway:
        for path in ("/v1/items/{id}", "/v1/open/{id}"):
            await flood(gateway.port, path, users, 4 * TURN)
        await words(gateway.port, 1)
        before = series(gateway.app)

        for path in ("/v1/items/{id}", "/v1/open/{id}"):
            await flood(gateway.port, path, users, COUNT // 2)
        await words(gateway.port, 100)

        assert series(gateway.app) == before
        assert gateway.sample("http_requests_total", method="_OTHER", handler="none", status="404") > 0


async def test_a_pod_that_is_left_alone_is_told_by_name_for_as_long_as_it_is_there(
    make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "FIRST_EJECTION_SECONDS", 1000.0)  # it is looked at before its time is over
    monkeypatch.setattr(pods, "LONGEST_EJECTION_SECONDS", 1000.0)
    port, there = free_port(), ["127.0.0.1"]

    async def resolve(_: str, __: int) -> list[str]:
        return there

    async with make_gateway({"/v1/items": f"http://items.test:{port}"}, resolve=resolve) as gateway:
        upstream = f"items.test:{port}"
        assert (await gateway.client.get("/v1/items")).status_code == 503

        assert gateway.sample("gateway_upstream_ejected", upstream=upstream) == 1
        assert gateway.sample("gateway_upstream_pod_ejections_total", upstream=upstream, pod="127.0.0.1") >= 1

        there[:] = ["127.0.0.2"]
        await waits.until(
            lambda: (
                ("gateway_upstream_pod_ejections_total", (("pod", "127.0.0.1"), ("upstream", upstream)))
                not in series(gateway.app)
            ),
            "the number of a pod that has gone to go with it",
        )
        assert gateway.sample("gateway_upstream_ejected", upstream=upstream) == 0


def test_a_pod_counts_as_left_alone_until_its_time_is_over() -> None:
    pod = KnownPod(("127.0.0.1", 8000), born=None)
    assert not pod.is_ejected(100)

    assert pod.failed(100, refused=True)

    assert pod.is_ejected(100.5)
    assert not pod.is_ejected(101.5)
    assert pod.times_ejected == 1
    assert list(PodHealth([]).collect())

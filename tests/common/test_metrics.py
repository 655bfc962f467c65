"""What is counted, under which labels, and that nobody can invent new ones."""

import asyncio

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client
from tests.support.waits import until


def requests(app: FastAPI) -> dict[tuple[str, str, str], float]:
    registry: CollectorRegistry = app.state.registry
    return {
        (sample.labels["method"], sample.labels["handler"], sample.labels["status"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "http_requests_total"
    }


async def raw(client: httpx2.AsyncClient, method: str, path: str) -> int:
    return (await client.request(method, path)).status_code


async def test_requests_are_counted_by_template_and_exact_status() -> None:
    app = create_app(SampleSettings())
    async with app_client(app) as client:
        for path in ("slow/0", "slow/0.001", "slow/x", "fail/conflict", "fail/bug"):
            await client.get(f"/v1/sample/{path}")

    assert requests(app) == {
        ("GET", "/v1/sample/slow/{seconds}", "200"): 2,
        ("GET", "/v1/sample/slow/{seconds}", "422"): 1,
        ("GET", "/v1/sample/fail/{how}", "409"): 1,
        ("GET", "/v1/sample/fail/{how}", "500"): 1,
    }


async def test_no_path_of_a_stranger_becomes_a_label() -> None:
    app = create_app(SampleSettings())
    async with app_client(app) as client:
        for n in range(20):
            await client.get(f"/wp-admin/{n}")

    assert requests(app) == {("GET", "none", "404"): 20}


async def test_unknown_methods_are_one_label() -> None:
    app = create_app(SampleSettings())
    async with app_client(app) as client:
        for method in ("PROPFIND", "MKCOL", "LOCK", "SUBSCRIBE"):  # httptools refuses what it has never heard of
            assert await raw(client, method, "/v1/sample/ping") == 405

    assert requests(app) == {("_OTHER", "/v1/sample/ping", "405"): 4}


async def test_a_body_that_is_too_long_is_counted() -> None:
    app = create_app(SampleSettings(max_body_bytes=10))
    async with app_client(app) as client:
        await client.post("/v1/sample/raw", content=b"x" * 11)

    assert requests(app) == {("POST", "/v1/sample/raw", "413"): 1}


async def test_durations_are_kept_from_a_millisecond_to_ten_seconds() -> None:
    app = create_app(SampleSettings())
    async with app_client(app) as client:
        await client.get("/v1/sample/ping")

    text = generate_latest(app.state.registry).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    buckets = [s.labels["le"] for s in families["http_request_duration_seconds"].samples if s.name.endswith("_bucket")]
    assert (buckets[0], buckets[-2:]) == ("0.001", ["10.0", "+Inf"])
    assert families["slipway_build_info"].samples[0].labels["service"] == "sample"
    assert "_created" not in text
    assert families["event_loop_lag_seconds"].samples[0].value >= 0
    assert families["process_resident_memory_bytes"].samples[0].value > 1_000_000


async def test_two_applications_of_a_process_count_apart() -> None:
    one, other = create_app(SampleSettings()), create_app(SampleSettings())
    async with app_client(one) as client, app_client(other):
        await client.get("/v1/sample/ping")

    assert requests(one) == {("GET", "/v1/sample/ping", "200"): 1}
    assert requests(other) == {}


async def test_metrics_are_not_on_the_public_port(client: httpx2.AsyncClient) -> None:
    for path in ("/metrics", "/livez", "/readyz", "/docs"):
        assert (await client.get(path)).status_code == 404


async def test_requests_and_streams_in_flight_are_counted_apart() -> None:
    app = create_app(SampleSettings())
    sample = app.state.registry.get_sample_value

    def in_flight() -> tuple[float, float]:
        return tuple(sample("http_requests_in_flight", {"kind": kind}) for kind in ("request", "stream"))

    async with app_client(app) as client:
        assert in_flight() == (0, 0)
        waiting = asyncio.create_task(client.get("/v1/sample/slow/60"))
        await until(lambda: in_flight() == (1, 0), "the request")
        waiting.cancel()
        async with client.stream("GET", "/v1/sample/events") as answer:
            await anext(answer.aiter_raw())
            await until(lambda: in_flight()[1] == 1, "the stream")
        await until(lambda: in_flight() == (0, 0), "the end of both")


async def test_the_children_of_a_route_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(SampleSettings())
    async with app_client(app) as client:
        await client.get("/v1/sample/ping")
        monkeypatch.setattr("prometheus_client.metrics.MetricWrapperBase.labels", None)
        for _ in range(3):
            assert (await client.get("/v1/sample/ping")).status_code == 200

    monkeypatch.undo()
    assert requests(app) == {("GET", "/v1/sample/ping", "200"): 4}


async def test_what_becomes_of_telemetry_is_told_from_the_start() -> None:
    sample = create_app(SampleSettings()).state.registry.get_sample_value

    for name in ("traces_spans_sent_total", "traces_spans_dropped_total", "log_lines_sampled_out_total"):
        assert sample(name) == 0

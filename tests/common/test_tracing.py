"""Traces go where OTEL_* says, hold no secrets, hold nobody up, and cost nothing when they are off."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import text

from services.common import tracing
from services.common.app import create_service
from services.common.management import ManagementServer
from services.common.postgres import SessionDep, open_postgres, session_maker
from services.common.redis import open_redis
from services.common.settings import PostgresSettings, ServiceSettings
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client
from tests.support.processes import ROOT, service_process
from tests.support.servers import free_port
from tests.support.traces import Collector, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with serving() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        yield server


@pytest.fixture(autouse=True)
def _untraced_libraries() -> Iterator[None]:
    """Leave asyncpg and redis as they were."""
    yield
    for instrumentor in (AsyncPGInstrumentor(), RedisInstrumentor()):  # type: ignore[no-untyped-call]
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def attributes(span: Span) -> dict[str, str]:
    return {pair.key: pair.value.string_value or str(pair.value.int_value) for pair in span.attributes}


async def test_a_request_is_one_span_named_by_its_template(collector: Collector) -> None:
    async with app_client(create_app(SampleSettings())) as client:
        await client.get("/v1/sample/slow/0")

    (span,) = collector.spans()
    assert span.name == "GET /v1/sample/slow/{seconds}"
    assert attributes(span)["http.route"] == "/v1/sample/slow/{seconds}"
    assert attributes(span)["http.response.status_code"] == "200"
    assert b"service.name\x12\x08\n\x06sample" in collector.bodies[0]


async def test_the_service_may_be_named_by_the_standard_variable(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "renamed")
    async with app_client(create_app(SampleSettings())) as client:
        await client.get("/v1/sample/ping")

    assert b"renamed" in collector.bodies[0]


async def test_a_trace_is_continued_and_named_in_the_log(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    async with app_client(create_app(SampleSettings())) as client:
        await client.get("/v1/sample/ping", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})

    (span,) = collector.spans()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert span.trace_id.hex() == TRACE
    assert [line["trace_id"] for line in lines if line["event"] == "request_finished"] == [TRACE]


async def test_codes_and_tokens_in_addresses_stay_out_of_spans(collector: Collector) -> None:
    async with app_client(create_app(SampleSettings())) as client:
        for path in ("/v1/sample/ping", "/v1/sample/fail/conflict", "/nowhere"):
            await client.get(f"{path}?code=s3cr3t&token=s3cr3t")

    assert len(collector.spans()) == 3
    assert not any(b"s3cr3t" in body or b"code=" in body for body in collector.bodies)


async def test_where_callers_are_not_asked_they_force_no_trace_and_keep_its_id(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    async with app_client(create_app(SampleSettings())) as client:
        await client.get("/v1/sample/ping", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert collector.spans() == []
    assert [line["trace_id"] for line in lines if line["event"] == "request_finished"] == [TRACE]


@pytest.mark.parametrize("before", ["/v1/sample/slow", "/nowhere", ""])
async def test_secrets_and_people_in_paths_stay_out_of_spans(collector: Collector, before: str) -> None:
    async with app_client(create_app(SampleSettings())) as client:
        for part in (f"s3cr3t{'A' * 20}", f"eyJs3cr3t.{'B' * 20}.C", "s3cr3t@example.com", "s3cr3t%40example.com"):
            await client.get(f"{before}/{part}")

    assert {attributes(span)["url.path"] for span in collector.spans()} == {f"{before}/…"}
    assert not any(b"s3cr3t" in body for body in collector.bodies)


async def test_ids_and_words_in_paths_stay_in_spans(collector: Collector) -> None:
    paths = ["/v1/sample/slow/0", f"/nowhere/{uuid.uuid4()}/history", "/.well-known/oauth-authorization-server"]
    async with app_client(create_app(SampleSettings())) as client:
        for path in paths:
            await client.get(path)

    assert [attributes(span)["url.path"] for span in collector.spans()] == paths


async def test_a_bug_is_recorded_with_its_stack(collector: Collector) -> None:
    async with app_client(create_app(SampleSettings())) as client:
        await client.get("/v1/sample/fail/bug")

    (span,) = collector.spans()
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert [event.name for event in span.events] == ["exception"]


router = APIRouter()


@router.get("/both")
async def both(session: SessionDep, request: Request) -> None:
    await session.scalar(text("SELECT CAST(:secret AS text)"), {"secret": "s3cr3t"})
    await request.state.cache.set("key", "s3cr3t", ex=60)


@router.get("/duplicate")
async def duplicate(session: SessionDep) -> None:
    connection = await session.connection()
    await connection.execute(text("CREATE TEMPORARY TABLE once (word text UNIQUE) ON COMMIT DROP"))
    for _ in range(2):
        await connection.execute(text("INSERT INTO once VALUES (:word)"), {"word": "s3cr3t"})


async def test_no_span_says_what_the_database_quotes(collector: Collector, database_url: str) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        settings = PostgresSettings.model_validate({"database_url": database_url})
        async with open_postgres(settings, app.state.registry) as engine:
            yield {"session_maker": session_maker(engine)}

    app = create_service(ServiceSettings(), title="Both", routers=[router], lifespan=lifespan)
    async with app_client(app) as client:
        assert (await client.get("/duplicate")).status_code == 500

    assert any("IntegrityError" in str(span) for span in collector.spans())
    assert not any(b"s3cr3t" in body for body in collector.bodies)


async def test_statements_and_redis_calls_are_spans_without_values(
    collector: Collector, database_url: str, redis_url: str
) -> None:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        settings = PostgresSettings.model_validate({"database_url": database_url})
        async with open_postgres(settings, CollectorRegistry()) as engine, open_redis(SecretStr(redis_url)) as cache:
            yield {"session_maker": session_maker(engine), "cache": cache}

    app = create_service(ServiceSettings(), title="Both", routers=[router], lifespan=lifespan)
    async with app_client(app) as client:
        assert (await client.get("/both")).status_code == 200

    spans = {span.name: span for span in collector.spans()}
    request = spans["GET /both"]
    children = {name for name, span in spans.items() if span.parent_span_id == request.span_id}
    assert any(name.startswith("SELECT") for name in children)
    assert any(name.startswith("SET") for name in children)
    assert not any(b"s3cr3t" in body for body in collector.bodies)


async def test_values_in_statements_do_not_leave_and_their_words_do(collector: Collector, database_url: str) -> None:
    settings = PostgresSettings.model_validate({"database_url": database_url})

    async def literal(request: Request) -> None:
        async with request.state.engine.connect() as connection:
            await connection.exec_driver_sql(
                "SELECT 's3cr3t', E'it''s3cr3t', $tag$s3cr3t$tag$, 4711, upper($1)", ("a",)
            )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with open_postgres(settings, app.state.registry) as engine:
            yield {"engine": engine}

    own = APIRouter()
    own.add_api_route("/literal", literal)
    app = create_service(ServiceSettings(), title="Own", routers=[own], lifespan=lifespan)
    async with app_client(app) as client:
        assert (await client.get("/literal")).status_code == 200

    (statement,) = [attributes(span)["db.query.text"] for span in collector.spans() if span.name == "SELECT"]
    assert statement == "SELECT ?, ?, ?, ?, upper($1)"
    assert not any(b"s3cr3t" in body or b"4711" in body for body in collector.bodies)


async def test_what_a_bug_says_stays_out_of_spans(collector: Collector) -> None:
    async with app_client(create_app(SampleSettings())) as client:
        await client.get("/v1/sample/fail/bug")
        with suppress(httpx2.HTTPError):
            await client.get("/v1/sample/half")

    assert any("main.py" in str(span.events) for span in collector.spans())
    assert not any(b"hunter2" in body or b"broke in the middle" in body for body in collector.bodies)


async def test_at_one_percent_others_pass_by_the_instrumentation(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")

    async def unwanted(*_: object) -> None:
        raise AssertionError("the instrumentation was asked")

    app = create_app(SampleSettings())
    async with app_client(app) as client:
        monkeypatch.setattr(OpenTelemetryMiddleware, "__call__", unwanted)
        assert (await client.get("/v1/sample/ping")).status_code == 200
        monkeypatch.undo()
        await client.get("/v1/sample/ping", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})

    assert [span.trace_id.hex() for span in collector.spans()] == [TRACE]  # who calls decides
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "request_finished" in line]
    assert second["trace_id"] == TRACE
    assert len(first["trace_id"]) == 32


@pytest.mark.parametrize(
    "header", [f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff-{TRACE}-b7ad6b7169203331-01", f"00-{TRACE}-x-01", "no", ""]
)
async def test_a_traceparent_that_is_none_begins_a_trace_of_our_own(collector: Collector, header: str) -> None:
    async with app_client(create_app(SampleSettings())) as client:
        await client.get("/v1/sample/ping", headers={"traceparent": header})

    (span,) = collector.spans()
    assert span.trace_id.hex() not in {TRACE, "0" * 32}


@pytest.mark.usefixtures("collector")
async def test_durations_carry_the_trace_as_an_exemplar_in_openmetrics() -> None:
    app = create_app(SampleSettings())
    async with app_client(app) as client:
        await client.get("/v1/sample/ping", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
        await client.get("/v1/sample/things", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-00"})
    management = ManagementServer(
        ("127.0.0.1", 0), health=app.state.health, registry=app.state.registry, liveness_seconds=30
    )
    with management.running():
        url = f"http://127.0.0.1:{management.server_address[1]}/metrics"
        asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with httpx2.AsyncClient(timeout=30) as client:
            plain, rich = await client.get(url), await client.get(url, headers=asked)

    assert rich.headers["content-type"].startswith("application/openmetrics-text")
    assert rich.text.endswith("# EOF\n")
    carrying = [line for line in rich.text.splitlines() if TRACE in line]
    assert [line.partition("{")[0] for line in carrying] == ["http_request_duration_seconds_bucket"]
    assert 'handler="/v1/sample/ping"' in carrying[0]
    assert TRACE not in plain.text


async def test_spans_are_counted_that_left_and_that_were_lost(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
    app = create_app(SampleSettings())
    sample = app.state.registry.get_sample_value
    async with app_client(app) as client:
        collector.held.clear()
        for _ in range(40):
            assert (await client.get("/v1/sample/ping")).status_code == 200
        assert (sample("traces_spans_dropped_total") or 0) >= 20  # told while it happens, not at the end
        collector.held.set()

    sent, dropped = sample("traces_spans_sent_total"), sample("traces_spans_dropped_total")
    assert sent == len(collector.spans())
    assert sent + dropped == 40
    assert dropped >= 20


def test_none_is_lost_when_a_process_is_told_to_end(collector: Collector) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    with service_process("tests.common.sample", env) as process, ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(httpx2.get, f"{process.url}/v1/sample/slow/3", timeout=30) for _ in range(20)]
        deadline = time.monotonic() + 20
        while process.log.count("request_begun") < 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        assert [answer.result().status_code for answer in asked] == [200] * 20
        assert process.wait() == 0

    assert len(collector.spans()) == 20


async def test_a_collector_that_is_away_or_silent_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "FLUSH_SECONDS", 0.2)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3000")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
            # a hundredth of what the exporter would take
            async with asyncio.timeout(30), app_client(create_app(SampleSettings())) as client:
                assert (await client.get("/v1/sample/ping")).status_code == 200


def test_without_the_variables_nothing_is_imported_or_installed() -> None:
    code = (
        "import sys, services.common.process, services.common.postgres, services.common.redis\n"
        "from tests.common.sample.main import create_app\n"
        "stack, layers = create_app().build_middleware_stack(), []\n"
        "while stack is not None: layers.append(type(stack).__module__); stack = getattr(stack, 'app', None)\n"
        "assert len(layers) > 5, layers\n"
        # redis imports opentelemetry.sdk.metrics by itself wherever it is installed
        "heavy = ('opentelemetry.sdk.trace', 'opentelemetry.instrumentation', 'opentelemetry.exporter')\n"
        "print([name for name in [*sys.modules, *layers] if name.startswith(heavy)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60, capture_output=True, text=True
    )

    assert done.stdout == "[]\n"


async def test_fastapis_own_telemetry_does_not_double_the_spans(collector: Collector) -> None:
    from opentelemetry import trace

    app = create_app(SampleSettings())
    own = app._telemetry  # it would begin by itself as soon as any library sets a global provider
    assert [name for name in ("tracing", "metrics", "logs", "auto_configure") if own[name]] == []
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    async with app_client(app) as client:
        await client.get("/v1/sample/ping")

    assert len(collector.spans()) == 1

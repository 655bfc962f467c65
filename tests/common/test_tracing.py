"""Traces go where OTEL_* says, hold no secrets, hold nobody up, and cost nothing when they are off."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import text

from services.common import tracing
from services.common.app import create_service
from services.common.postgres import SessionDep, open_postgres, session_maker
from services.common.redis import open_redis
from services.common.settings import PostgresSettings, ServiceSettings
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client
from tests.support.processes import ROOT
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


async def test_a_collector_that_is_away_or_silent_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "FLUSH_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
            async with asyncio.timeout(8), app_client(create_app(SampleSettings())) as client:  # the exporter takes 10
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

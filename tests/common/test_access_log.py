"""The access log: a line a request, at high rates some, errors always; and its level, changed while it runs."""

import json
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry, Counter

from services.common import log_level
from services.common.access_log import AccessLog
from services.common.log_level import Level
from tests.common.operating import OPERATE, management, operated
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client
from tests.support.clock import Clock
from tests.support.tokens import Issuer, KeyServer
from tests.support.waits import until


def finished(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"] == "request_finished"]


def test_of_one_second_so_many_pass_and_the_rest_are_counted() -> None:
    registry, clock = CollectorRegistry(), Clock()
    log = AccessLog(3, Counter("out", "out", registry=registry), clock=clock)

    assert [log.wants(200) for _ in range(5)] == [True, True, True, False, False]
    assert registry.get_sample_value("out_total") == 2
    clock.now += 1
    assert log.wants(200)


def test_errors_always_pass_and_refusals_have_a_share_of_their_own() -> None:
    log = AccessLog(1, Counter("out", "out", registry=CollectorRegistry()), clock=Clock())

    assert [log.wants(404) for _ in range(3)] == [True, False, False]
    assert log.wants(200)  # a flood of what is refused hides nothing
    assert all(log.wants(status) for status in (500, 503, 0) for _ in range(10))


async def test_a_flood_is_sampled_and_its_errors_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(SampleSettings(access_log_per_second=2))
    async with app_client(app) as client:
        for _ in range(60):
            await client.get("/v1/sample/ping")
        for _ in range(5):
            await client.get("/v1/sample/fail/bug")

    lines = finished(capsys)
    good = [line for line in lines if line["status"] == 200]
    assert sum(line["status"] == 500 for line in lines) == 5
    assert len(good) < 60
    assert app.state.registry.get_sample_value("log_lines_sampled_out_total") == 60 - len(good)


async def test_a_line_has_the_request_and_its_trace_and_nobody_forges_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    evil = "%0A%7B%22event%22:%22forged%22%7D"
    async with app_client(create_app(SampleSettings())) as client:
        answer = await client.get(f"/v1/sample/ping?x={evil}", headers=[(b"X-Request-ID", b"x\xe2\x80\xa8forged")])
        await client.get(f"/{evil}", headers={"User-Agent": 'a"}{"event":"forged"}'})

    first, second = finished(capsys)
    assert first["request_id"] == answer.headers["x-request-id"]
    assert (first["handler"], second["handler"]) == ("/v1/sample/ping", "none")
    assert "forged" not in json.dumps([first, second])


async def test_an_operator_changes_the_level_while_it_runs(
    issuer: Issuer, jwks: KeyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    app, operator = operated(issuer, jwks), issuer.headers(sub="olga", scope=OPERATE)
    server = management(app)
    async with app_client(app) as client:
        with server.running():
            url = f"http://127.0.0.1:{server.server_address[1]}/log-level"
            await client.put(url, headers=operator, json={"level": "ERROR"})
            await client.get("/v1/sample/ping")
            assert (await client.get(url, headers=operator)).json()["level"] == "ERROR"
            back = await client.put(url, headers=operator, json={"level": "INFO"})
            await client.get("/v1/sample/list")

    assert back.json() == {"level": "INFO", "configured": "INFO", "seconds_left": None}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["handler"] for line in lines if line["event"] == "request_finished"] == ["/v1/sample/list"]
    changed = [line for line in lines if line["event"] == "log_level_changed"]
    assert [(line["subject"], line["level_now"]) for line in changed] == [("olga", "ERROR"), ("olga", "INFO")]


async def test_a_level_goes_back_by_itself() -> None:
    level = Level("sample", "INFO")

    assert level.change({"level": "DEBUG", "seconds": 0.2}, "olga")["seconds_left"] == 0
    await until(lambda: level.state()["level"] == "INFO", "the return of the level")
    assert level.state()["seconds_left"] is None


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"level": "LOUD"}, "level"),
        ({}, "level"),
        ({"level": "DEBUG", "seconds": log_level.MAX_SECONDS + 1}, "seconds"),
        ({"level": "DEBUG", "seconds": True}, "seconds"),
        ({"level": "DEBUG", "seconds": float("nan")}, "seconds"),
        ({"level": "DEBUG", "for": 3}, "for"),
    ],
)
def test_a_wrong_level_is_refused_by_name(wanted: dict[str, object], named: str) -> None:
    level = Level("sample", "INFO")

    with pytest.raises(ValueError, match=f"^{named} "):
        level.change(wanted, "olga")
    assert level.state()["level"] == "INFO"


async def test_what_is_no_json_is_refused_with_what_would_be_right(issuer: Issuer, jwks: KeyServer) -> None:
    app, operator = operated(issuer, jwks), issuer.headers(scope=OPERATE)
    server = management(app)
    async with app_client(app), httpx2.AsyncClient(timeout=30) as client:
        with server.running():
            url = f"http://127.0.0.1:{server.server_address[1]}/log-level"
            wrong = await client.put(url, headers=operator, content=b"DEBUG")
            long = await client.put(url, headers=operator, content=b"x" * 2000)

    assert (wrong.status_code, long.status_code) == (400, 404)
    assert '{"level": "DEBUG"' in wrong.json()["detail"]

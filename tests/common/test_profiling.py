"""An operator sees what takes the time, of a request or of the process; nobody else sees that this is there."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from services.common import profiling, request_profiles
from services.common.request_profiles import RequestProfiles
from tests.common.operating import OPERATE, management, operated
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client
from tests.support.tokens import Issuer, KeyServer
from tests.support.waits import until

SLOW = "planted_slow_function"
REPORT = "/v1/sample/report"
LONG_REPORT = f"{REPORT}?words=9000"  # so long that what a busy machine does meanwhile is little beside it


@pytest.fixture
def app(issuer: Issuer, jwks: KeyServer) -> FastAPI:
    return operated(issuer, jwks, profiling=True)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with app_client(app, headers={"X-Profile": "sample speedscope"}) as client:
        yield client


@pytest.fixture
async def port(app: FastAPI, client: httpx2.AsyncClient) -> AsyncIterator[httpx2.AsyncClient]:
    """The management port, while the application runs."""
    assert not client.is_closed
    server = management(app)
    with server.running():
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.server_address[1]}", timeout=20) as opened:
            yield opened


@pytest.fixture
def operator(issuer: Issuer) -> dict[str, str]:
    return issuer.headers(sub="olga", scope=OPERATE)


def heaviest(document: dict[str, Any]) -> str:
    """The function in which most samples of a speedscope document ended."""
    frames, spent = [frame["name"] for frame in document["shared"]["frames"]], dict[str, float]()
    stack: list[tuple[int, float]] = []
    for event in document["profiles"][0]["events"]:
        if stack:
            name = frames[stack[-1][0]]
            spent[name] = spent.get(name, 0) + event["at"] - stack[-1][1]
        if event["type"] == "O":
            stack.append((event["frame"], event["at"]))
        else:
            stack.pop()
            if stack:
                stack[-1] = (stack[-1][0], event["at"])
    return max(spent, key=lambda name: spent[name])


async def test_the_planted_slow_function_stands_at_the_top_of_a_requests_profile(
    client: httpx2.AsyncClient, operator: dict[str, str]
) -> None:
    answer = await client.get(LONG_REPORT, headers=operator)

    assert answer.status_code == 200
    assert answer.headers["x-profiled-status"] == "200"
    assert heaviest(answer.json()) in {SLOW, "str.join", "[self]"}
    assert SLOW in answer.text


async def test_a_profile_is_of_its_request_alone(client: httpx2.AsyncClient, operator: dict[str, str]) -> None:
    other = {"X-Profile": "nobody"}
    profiled, _ = await asyncio.gather(
        client.get("/v1/sample/slow/0.5", headers=operator), client.get(REPORT, headers=other)
    )

    assert SLOW not in profiled.text


@pytest.mark.parametrize(
    ("form", "kind", "holds"),
    [("html", "text/html", "<html"), ("cprofile", "text/plain", "cumulative"), ("speedscope", "application/json", "{")],
)
async def test_a_profile_comes_in_the_form_that_is_asked_for(
    client: httpx2.AsyncClient, operator: dict[str, str], form: str, kind: str, holds: str
) -> None:
    answer = await client.get(REPORT, headers={**operator, "X-Profile": f"sample {form}"})

    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["cache-control"] == "no-store"
    assert holds in answer.text
    assert SLOW in answer.text


async def test_without_the_scope_it_is_404_on_either_port(
    client: httpx2.AsyncClient, port: httpx2.AsyncClient, issuer: Issuer
) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, issuer.headers(scope="items:read users:admin")):
        assert (await client.get(REPORT, headers=headers)).status_code == 404
        for method, path in (("POST", "/profile"), ("GET", "/log-level"), ("PUT", "/log-level")):
            hidden = await port.request(method, path, headers=headers)
            nothing = await port.request(method, "/nothing", headers=headers)
            assert (hidden.status_code, hidden.text) == (nothing.status_code, nothing.text) == (404, nothing.text)


async def test_the_process_is_profiled_for_some_seconds(
    client: httpx2.AsyncClient, port: httpx2.AsyncClient, operator: dict[str, str]
) -> None:
    asked = asyncio.create_task(port.post("/profile?seconds=1&format=speedscope", headers=operator))
    while not asked.done():
        await client.get(REPORT, headers={"X-Profile": "nobody"})

    answer = await asked
    assert answer.status_code == 200, answer.text
    assert SLOW in answer.text


async def test_one_is_taken_at_a_time_and_then_the_place_is_free(
    app: FastAPI, client: httpx2.AsyncClient, port: httpx2.AsyncClient, operator: dict[str, str]
) -> None:
    first = asyncio.create_task(port.post("/profile?seconds=4", headers=operator))
    place = app.state.operations._profiling._lock
    await until(place.locked, "the first one in the place")

    assert (await port.post("/profile?seconds=1", headers=operator)).status_code == 409
    assert (await client.get(REPORT, headers=operator)).status_code == 409
    assert (await first).status_code == 200
    assert (await client.get(REPORT, headers=operator)).status_code == 200


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("seconds=31", "seconds"),
        ("seconds=x", "seconds"),
        ("seconds=nan", "seconds"),
        ("format=svg", "format"),
        ("s=1", "s"),
    ],
)
async def test_what_cannot_be_had_is_named(
    port: httpx2.AsyncClient, operator: dict[str, str], query: str, named: str
) -> None:
    answer = await port.post(f"/profile?{query}", headers=operator)

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(named)


async def test_a_request_that_does_not_end_is_profiled_for_a_bounded_time(
    client: httpx2.AsyncClient, operator: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_profiles, "MAX_SECONDS", 0.2)

    answer = await client.get("/v1/sample/slow/9", headers=operator)

    assert (answer.status_code, answer.headers["x-profiled-status"]) == (200, "0")


async def test_who_profiled_what_is_in_the_log_once(
    client: httpx2.AsyncClient, port: httpx2.AsyncClient, operator: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    await client.get(REPORT, headers=operator)
    await port.post("/profile?seconds=0.1", headers=operator)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [(line["event"], line["subject"], line["level"]) for line in lines if line["event"].endswith("_profiled")]
    assert told == [("request_profiled", "olga", "warning"), ("process_profiled", "olga", "warning")]


async def test_off_there_is_no_layer_and_no_path(issuer: Issuer, jwks: KeyServer, operator: dict[str, str]) -> None:
    app = operated(issuer, jwks)
    async with app_client(app) as client:
        answer = await client.get(REPORT, headers={**operator, "X-Profile": "sample"})
        server = management(app)
        with server.running():
            url = f"http://127.0.0.1:{server.server_address[1]}/profile"
            hidden = await client.post(url, headers=operator)

    assert answer.json() == {"length": 3000}
    assert hidden.status_code == 404
    layers = [repr(layer.cls) for layer in create_app(SampleSettings()).user_middleware]
    assert repr(RequestProfiles) not in layers


def test_without_pyinstrument_the_sentence_says_what_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "find_spec", lambda _: None)

    with pytest.raises(ValueError, match="cprofile would do"):
        profiling.Wanted("html", one_request=True)
    assert profiling.Wanted("cprofile", one_request=True).form == "cprofile"

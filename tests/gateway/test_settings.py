"""Wrong settings are refused at the start, with a sentence that names the field."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.common.settings import sentences
from services.gateway.settings import GatewaySettings
from tests.support.processes import service_process

GOOD = {
    "ROUTES": '{"/v1/items": "http://items:8000"}',
    "ISSUER": "https://slipway.test",
    "AUDIENCE": "slipway",
    "AUTH_URL": "http://auth:8000",
}


def read(monkeypatch: pytest.MonkeyPatch, **changes: str) -> GatewaySettings:
    for name, value in (GOOD | changes).items():
        monkeypatch.setenv(name, value)
    return GatewaySettings()


def test_routes_are_a_path_and_where_it_is_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    routes = {
        "/v1/items": "http://items:8000/",
        "/login": "http://auth:8000",
        "/oauth2": {"upstream": "http://auth", "timeout_seconds": 5, "max_body_bytes": 65536},
        "/.well-known": {"upstream": "http://auth", "public": False},
        "/v1/open": {"upstream": "http://[fd00::1]:80", "public": True},
    }
    file = tmp_path / "routes.json"
    file.write_text(json.dumps(routes))

    given = read(monkeypatch, ROUTES=json.dumps(routes)).table
    from_file = read(monkeypatch, ROUTES="", ROUTES_FILE=str(file)).table

    assert given == from_file
    assert [(route.path, route.upstream, route.public) for route in given] == [
        ("/v1/items", "http://items:8000", False),
        ("/login", "http://auth:8000", True),
        ("/oauth2", "http://auth", True),
        ("/.well-known", "http://auth", False),
        ("/v1/open", "http://[fd00::1]:80", True),
    ]
    assert (given[2].timeout_seconds, given[2].max_body_bytes) == (5, 65536)


def test_a_route_has_the_path_that_it_stands_under(monkeypatch: pytest.MonkeyPatch) -> None:
    [route] = read(monkeypatch, **entry(path="/v1/b")).table

    assert route.path == "/v1/a"


def entry(**fields: object) -> dict[str, str]:
    return {"ROUTES": json.dumps({"/v1/a": {"upstream": "http://a:8000", **fields}})}


def both(first: str, its: str, second: str, other: str) -> dict[str, str]:
    routes = {"/v1/a": {"upstream": its, "service": first}, "/v1/b": {"upstream": other, "service": second}}
    return {"ROUTES": json.dumps(routes)}


LIMIT = {"per": "route", "count": 1, "seconds": 60}
PRINCIPAL = LIMIT | {"per": "principal"}
BIG = LIMIT | {"count": 50_000, "seconds": 86_400}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ROUTES": ""}, "One of ROUTES and ROUTES_FILE must be set"),
        ({"ROUTES_FILE": "/nowhere"}, "ROUTES_FILE names /nowhere, which cannot be read"),
        ({"ROUTES": "nonsense"}, "ROUTES is not JSON"),
        ({"ROUTES": "[]"}, "ROUTES is no table of routes"),
        ({"ROUTES": "{}"}, "ROUTES is no table of routes"),
        ({"ROUTES": '{"/v1/a": 5}'}, "ROUTES has a wrong route /v1/a: a URL"),
        ({"ROUTES": '{"/v1/a": {}}'}, "ROUTES has a wrong route /v1/a: upstream: Field required"),
        ({"ROUTES": '{"v1": "http://a"}'}, "ROUTES has a wrong route v1: path: a path of plain segments"),
        ({"ROUTES": '{"/v1/": "http://a"}'}, "ROUTES has a wrong route /v1/: path: a path of plain segments"),
        ({"ROUTES": '{"/v1/../a": "http://a"}'}, "ROUTES has a wrong route /v1/../a: path: a path of plain"),
        ({"ROUTES": '{"/v1/{id}": "http://a"}'}, "ROUTES has a wrong route /v1/{id}: path: a path of plain"),
        ({"ROUTES": '{"/docs": "http://a"}'}, "ROUTES has a wrong route /docs: path: is the gateway's own"),
        ({"ROUTES": '{"/docs/a": "http://a"}'}, "ROUTES has a wrong route /docs/a: path: is the gateway's own"),
        ({"ROUTES": '{"/v1/a": "a:8000"}'}, "ROUTES has a wrong route /v1/a: upstream: http://host:port"),
        ({"ROUTES": '{"/v1/a": "https://a"}'}, "ROUTES has a wrong route /v1/a: upstream: http://host:port"),
        ({"ROUTES": '{"/v1/a": "http://a/b"}'}, "ROUTES has a wrong route /v1/a: upstream: http://host:port"),
        ({"ROUTES": '{"/v1/a": "http://a:99999"}'}, "ROUTES has a wrong route /v1/a: upstream: is not a URL"),
        ({"ROUTES": '{"/v1/a": "http://u:hunter2@a"}'}, "ROUTES has a wrong route /v1/a: upstream: must have no user"),
        (entry(timeout_seconds=0), "ROUTES has a wrong route /v1/a: timeout_seconds: Input should be greater than 0"),
        (entry(timeout_seconds="soon"), "ROUTES has a wrong route /v1/a: timeout_seconds: Input should be a valid"),
        (entry(max_body_bytes=-1), "ROUTES has a wrong route /v1/a: max_body_bytes: Input should be greater than 0"),
        (entry(service="Items"), "ROUTES has a wrong route /v1/a: service: String should match pattern"),
        (both("a", "http://a:8000", "a", "http://b:8000"), "The routes give a a second service or upstream"),
        (both("a", "http://a:8000", "b", "http://a:8000"), "The routes give http://a:8000 a second service or up"),
        (entry(max_body_bytes=10**9), "The route /v1/a has a max_body_bytes over MAX_BODY_BYTES="),
        (entry(limits=5), "ROUTES has a wrong route /v1/a: limits: Input should be a valid tuple"),
        (entry(limits=[{"per": "day"}]), "ROUTES has a wrong route /v1/a: limits.0.per: Input should be 'principal'"),
        (
            entry(limits=[{"per": "route", "count": 0, "seconds": 1}]),
            "ROUTES has a wrong route /v1/a: limits.0.count: I",
        ),
        (
            entry(limits=[{"per": "route", "count": "9", "seconds": 1}]),
            "ROUTES has a wrong route /v1/a: limits.0.count",
        ),
        (
            entry(limits=[{"per": "route", "count": 1}]),
            "ROUTES has a wrong route /v1/a: limits.0.seconds: Field requir",
        ),
        (entry(limits=[LIMIT | {"seconds": 86401}]), "ROUTES has a wrong route /v1/a: limits.0.seconds: Input should"),
        (entry(limits=[LIMIT | {"burst": 0}]), "ROUTES has a wrong route /v1/a: limits.0.burst: Input should be gre"),
        (entry(limits=[LIMIT | {"rate": 1}]), "ROUTES has a wrong route /v1/a: limits.0.rate: Extra inputs are not"),
        (entry(limits=[LIMIT | {"count": 10**16}]), "ROUTES has a wrong route /v1/a: limits.0: count, seconds and bu"),
        (entry(limits=[LIMIT | {"path": "/v1/b"}]), "ROUTES has a wrong route /v1/a: limits: path: /v1/b is not below"),
        (entry(limits=[LIMIT | {"path": "b"}]), "ROUTES has a wrong route /v1/a: limits.0.path: a path below the"),
        (
            entry(limits=[LIMIT | {"path": '/v1/a/"'}]),
            "ROUTES has a wrong route /v1/a: limits.0.path: a path below the",
        ),
        (entry(limits=[LIMIT, LIMIT | {"count": 9}]), "ROUTES has a wrong route /v1/a: limits: two with the same per,"),
        (entry(limits=[LIMIT] * 9), "ROUTES has a wrong route /v1/a: limits: at most 8"),
        (
            entry(limits=[PRINCIPAL], public=True),
            "ROUTES has a wrong route /v1/a: limits: per principal: a public route",
        ),
        (entry(without_state="perhaps"), "ROUTES has a wrong route /v1/a: without_state: Input should be 'open', 'cl"),
        (entry(without_state="closed"), "The route /v1/a has without_state closed, so STATE_URL must be set"),
        (
            entry(limits=[BIG]) | {"LIMIT_REPLICAS": "100"},
            "The limits of the route /v1/a, shared among LIMIT_REPLICAS=100",
        ),
        ({"LIMIT_REPLICAS": "0"}, "LIMIT_REPLICAS is wrong: input should be greater than or equal to 1"),
        ({"STATE_URL": "localhost"}, "STATE_URL must begin with redis://"),
        (entry(public="perhaps"), "ROUTES has a wrong route /v1/a: public: Input should be a valid boolean"),
        (entry(timeout=3), "ROUTES has a wrong route /v1/a: timeout: Extra inputs are not permitted"),
        ({"CORS_ORIGINS": "https://a.example/"}, "CORS_ORIGINS holds 'https://a.example/', which is no origin"),
        ({"CORS_ORIGINS": "ftp://a.example"}, "CORS_ORIGINS holds 'ftp://a.example', which is no origin"),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS holds '*', which is no origin"),
        ({"RESOLVE_SECONDS": "5"}, "RESOLVE_SECONDS is wrong: input should be less than or equal to 2"),
        ({"MAX_REQUESTS_IN_FLIGHT": "0"}, "MAX_REQUESTS_IN_FLIGHT is wrong: input should be greater than"),
        ({"AUTH_URL": ""}, "AUTH_URL or JWKS_URL must be set"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_setting_is_refused_with_a_sentence_that_names_it(
    changes: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValidationError) as refused:
        read(monkeypatch, **changes)

    said = sentences(refused.value)
    assert any(line.startswith(sentence) for line in said), said
    assert "hunter2" not in "".join(said)


def test_serve_ends_with_the_sentence_and_no_stack() -> None:
    wrong = GOOD | {"ROUTES": '{"/v1/a": {"upstream": "http://a", "timeout_seconds": -1}}'}
    with service_process("services.gateway", wrong, wait_ready=False) as process:
        assert process.wait() == 2
        log = process.log

    assert log.splitlines() == ["ROUTES has a wrong route /v1/a: timeout_seconds: Input should be greater than 0."]

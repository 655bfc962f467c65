"""What reaches which service from outside, by Ingress and by HTTPRoute."""

from typing import Any

import pytest

from tests.charts.chart import EVERYTHING, Chart, Manifest, Objects
from tests.charts.conftest import environment

AUTH = [
    "/v1/users", "/v1/roles", "/v1/clients", "/v1/audit", "/oauth2", "/.well-known", "/login", "/logout", "/account",
]  # fmt: skip
HTTPS, HTTP = ({"name": "edge", "namespace": "gateways", "sectionName": name} for name in ("https", "http"))
GATEWAY_API: dict[str, Any] = {
    "ingress": {"enabled": False},
    "gatewayApi": {"enabled": True, "parentRefs": [HTTPS], "redirectRefs": [HTTP], "namespaces": ["gateways"]},
}
WITHOUT_GATEWAY = {"gateway": None, "items": {"public": True}, "auth": {"public": True}}


def ingress_routes(objects: Objects) -> dict[str, str]:
    """Service by path, as the Ingress says."""
    (rule,) = objects.one("Ingress", "slipway")["spec"]["rules"]
    assert all(path["pathType"] == "Prefix" for path in rule["http"]["paths"])
    return {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}


def http_routes(objects: Objects) -> dict[str, str]:
    """Service by path, as the HTTPRoute says."""
    found: dict[str, str] = {}
    for rule in objects.one("HTTPRoute", "slipway")["spec"]["rules"]:
        ((name, port),) = ((ref["name"], ref["port"]) for ref in rule["backendRefs"])
        assert port == objects.one("Service", name)["spec"]["ports"][0]["port"]
        assert all(match["path"]["type"] == "PathPrefix" for match in rule["matches"])
        found |= {match["path"]["value"]: name for match in rule["matches"]}
    return found


@pytest.mark.parametrize("name", ["dev", "staging", "production"])
def test_the_gateway_is_the_one_way_in(chart: Chart, name: str) -> None:
    rendered = chart.render(environment(name))
    other = chart.render(environment(name), GATEWAY_API)

    assert ingress_routes(rendered) == {"/": "slipway-gateway"}
    assert http_routes(other) == {"/": "slipway-gateway"}
    assert other.kind("Ingress") == rendered.kind("HTTPRoute") == {}


def test_without_a_gateway_the_edge_routes_public_paths_and_nothing_else(chart: Chart) -> None:
    services: dict[str, Any] = WITHOUT_GATEWAY | {"worker": {"paths": ["/v1/work"]}}
    expected = {"/v1/items": "slipway-items", **dict.fromkeys(AUTH, "slipway-auth")}

    assert ingress_routes(chart.render(environment("dev"), {"services": services})) == expected
    assert http_routes(chart.render(environment("dev"), {"services": services, **GATEWAY_API})) == expected


def test_without_a_gateway_nothing_is_made_for_one(chart: Chart) -> None:
    rendered = chart.render(environment("dev"), {"services": WITHOUT_GATEWAY})

    assert [o["metadata"]["name"] for o in rendered if "gateway" in o["metadata"]["name"]] == []
    assert not any(name.endswith("-pods") for name in rendered.kind("Service"))


def test_both_edges_may_be_on_and_know_the_host_of_the_origin(chart: Chart) -> None:
    rendered = chart.render(EVERYTHING)

    (rule,) = rendered.one("Ingress", "slipway")["spec"]["rules"]
    assert rule["host"] == "slipway.example.com"
    for route in rendered.kind("HTTPRoute").values():
        assert route["spec"]["hostnames"] == ["slipway.example.com"]
        assert route["metadata"]["annotations"] == {"example.com/c": "d"}


@pytest.mark.parametrize(("origin", "port"), [("https://a.example", 443), ("https://a.example:8443", 8443)])
def test_what_comes_without_tls_is_sent_on_to_the_origin(chart: Chart, origin: str, port: int) -> None:
    rendered = chart.render(environment("dev"), f"origin={origin}", GATEWAY_API)
    main, redirect = (rendered.one("HTTPRoute", name)["spec"] for name in ("slipway", "slipway-redirect"))

    assert (main["parentRefs"], redirect["parentRefs"]) == ([HTTPS], [HTTP])
    sent_on = {"scheme": "https", "port": port, "statusCode": 301}
    assert redirect["rules"] == [{"filters": [{"type": "RequestRedirect", "requestRedirect": sent_on}]}]


def test_without_a_plain_listener_there_is_nothing_to_send_on(chart: Chart) -> None:
    values = GATEWAY_API | {"gatewayApi": GATEWAY_API["gatewayApi"] | {"redirectRefs": []}}

    assert list(chart.render(environment("dev"), values).kind("HTTPRoute")) == ["slipway"]


@pytest.mark.parametrize("preset", ["ingress-nginx", "gateway-api"])
def test_a_preset_goes_over_any_environment_and_changes_the_edge_alone(chart: Chart, preset: str) -> None:
    def rest(objects: Objects) -> list[Manifest]:
        edges = ("Ingress", "HTTPRoute", "NetworkPolicy", "Secret")
        return sorted((o for o in objects if o["kind"] not in edges), key=str)

    for name in ("dev", "production"):
        plain = chart.render(environment(name))
        rendered = chart.render(environment(name), environment(preset))

        assert rest(rendered) == rest(plain)
        assert rendered.kind("Ingress") != plain.kind("Ingress")
        assert len(rendered.kind("Ingress")) + len(rendered.kind("HTTPRoute")) in {1, 2}


def test_the_preset_of_ingress_nginx_bounds_and_collects_nothing(chart: Chart) -> None:
    rendered = chart.render(environment("production"), environment("ingress-nginx"))

    annotations = rendered.one("Ingress", "slipway")["metadata"]["annotations"]
    nginx = {k.removeprefix("nginx.ingress.kubernetes.io/"): v for k, v in annotations.items() if "nginx." in k}
    assert nginx["proxy-body-size"] == "0"
    assert nginx["proxy-buffering"] == nginx["proxy-request-buffering"] == "off"
    assert "cert-manager.io/cluster-issuer" in annotations  # production's own stay

"""The gateway's routes: made of the services' paths, read as they are rendered, refused where they cannot work."""

import json
from typing import Any

import pytest

from services.gateway.routes import Route, parse_routes
from tests.charts.chart import EVERYTHING, Chart, Manifest, Objects, Refused, merge, nested, variables
from tests.charts.conftest import environment
from tests.charts.test_docs import values_of
from tests.charts.test_edges import AUTH
from tests.charts.test_values import SCHEMA

ITEMS_URL = "http://slipway-items-pods.slipway.svc.cluster.local.:8000"


def table(objects: Objects) -> dict[str, Any]:
    """The routes as the ConfigMap has them."""
    read: dict[str, Any] = json.loads(objects.one("ConfigMap", "slipway-gateway")["data"]["routes.json"])
    return read


def pod(objects: Objects) -> Manifest:
    """The template of the gateway's pods."""
    template: Manifest = objects.one("Deployment", "slipway-gateway")["spec"]["template"]
    return template


def refusal(chart: Chart, values: dict[str, Any]) -> str:
    """The sentence with which the values over those of dev are refused."""
    with pytest.raises(Refused) as refused:
        chart.render(environment("dev"), values)
    return str(refused.value)


def test_the_routes_are_the_paths_of_what_the_gateway_calls(dev: Objects) -> None:
    routes = {route.path: route for route in parse_routes(table(dev))}

    assert routes.keys() == {"/v1/items", *AUTH}
    assert (routes["/v1/items"].upstream, routes["/v1/items"].service) == (ITEMS_URL, "items")
    public = {path for path, route in routes.items() if route.public}
    assert public == {"/oauth2", "/.well-known", "/login", "/logout", "/account"}


def test_a_route_goes_to_the_pods_by_a_name_that_is_whole(dev: Objects) -> None:
    for path, route in table(dev).items():
        service = dev.one("Service", f"slipway-{route['service']}-pods")["spec"]

        assert service["clusterIP"] == "None", path
        assert not service.get("publishNotReadyAddresses")
        assert f".slipway.svc.cluster.local.:{service['ports'][0]['port']}" in route["upstream"]
        plain = dev.one("Service", f"slipway-{route['service']}")["spec"]
        assert service["selector"] == plain["selector"]


def test_the_file_is_where_the_variable_says(dev: Objects) -> None:
    spec = pod(dev)["spec"]
    (container,) = spec["containers"]
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "routes")
    (volume,) = (each for each in spec["volumes"] if each["name"] == "routes")

    assert variables(container)["ROUTES_FILE"] == f"{mount['mountPath']}/routes.json"
    assert volume["configMap"]["name"] == "slipway-gateway"


def test_the_pods_roll_when_the_routes_change_and_only_then(chart: Chart) -> None:
    def annotations(*values: Any) -> Any:
        return pod(chart.render(environment("dev"), *values))["metadata"]["annotations"]

    before = annotations()
    assert annotations("services.items.replicas=5") == before
    changed = annotations({"services": {"items": {"routes": {"/v1/items": {"timeout_seconds": 3}}}}})
    assert changed["checksum/routes"] != before["checksum/routes"]
    assert changed["checksum/secrets"] == before["checksum/secrets"]


def test_what_the_values_say_of_a_route_reaches_the_gateway(chart: Chart) -> None:
    routes = {route.path: route for route in parse_routes(table(chart.render(EVERYTHING)))}

    items = routes["/v1/items"]
    assert (items.timeout_seconds, items.max_body_bytes, items.without_state) == (2.5, 1_000_000, "closed")
    assert [(q.per, q.count, q.seconds, q.burst, q.path) for q in items.quotas] == [
        ("principal", 10, 60, 5, None),
        ("address", 100_000, 3600, None, None),
        ("route", 7, 1, None, "/v1/items/search"),
    ]
    assert routes["/v1/items/open"].public
    assert routes["/v1/items/open"].quotas == ()
    assert routes["/v1/items/open"].upstream == items.upstream
    assert items.upstream == "http://slipway-items-pods.slipway.svc.k8s.example.:8000"


def test_the_schema_of_a_route_knows_the_fields_that_the_gateway_reads() -> None:
    of_route, of_quota = (SCHEMA["$defs"][name]["properties"] for name in ("route", "quota"))
    quota = Route.model_json_schema()["$defs"]["Quota"]["properties"]

    assert of_route.keys() == Route.model_fields.keys() - {"path", "upstream", "service"}
    assert of_quota.keys() == quota.keys()


LIMIT: dict[str, Any] = {"per": "address", "count": 1, "seconds": 60}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"timeout_seconds": 0}, "timeout_seconds"),
    ({"timeout_seconds": 3601}, "timeout_seconds"),
    ({"timeout_seconds": "soon"}, "timeout_seconds"),
    ({"max_body_bytes": 0}, "max_body_bytes"),
    ({"public": "perhaps"}, "public"),
    ({"without_state": "perhaps"}, "without_state"),
    ({"rate": 5}, "rate"),
    ({"limits": 5}, "limits"),
    ({"limits": [LIMIT] * 9}, "limits"),
    ({"limits": [LIMIT | {"per": "day"}]}, "per"),
    ({"limits": [LIMIT | {"count": 0}]}, "count"),
    ({"limits": [LIMIT | {"count": "9"}]}, "count"),
    ({"limits": [LIMIT | {"count": 1.5}]}, "count"),
    ({"limits": [LIMIT | {"seconds": 86_401}]}, "seconds"),
    ({"limits": [LIMIT | {"burst": 0}]}, "burst"),
    ({"limits": [LIMIT | {"rate": 1}]}, "rate"),
    ({"limits": [{"per": "address", "count": 1}]}, "seconds"),
    ({"limits": [LIMIT | {"path": "b"}]}, "path"),
    ({"limits": [LIMIT | {"path": "/v1/items/"}]}, "path"),
    ({"limits": [LIMIT | {"path": "/v1/itemsets"}]}, "path"),
    ({"limits": [LIMIT, LIMIT | {"count": 9}]}, "limits"),
    ({"limits": [LIMIT | {"methods": ["PUT", "POST"]}, LIMIT | {"methods": ["POST", "PUT"]}]}, "limits"),
    ({"limits": [LIMIT | {"methods": []}]}, "methods"),
    ({"limits": [LIMIT | {"methods": ["FETCH"]}]}, "methods"),
    ({"limits": [LIMIT | {"per": "principal"}], "public": True}, "per"),
    ({"limits": [LIMIT | {"count": 10**12}]}, "count"),
    ({"limits": [LIMIT | {"burst": 10**9}]}, "burst"),
]


@pytest.mark.parametrize(("fields", "named"), WRONG, ids=[json.dumps(fields)[:60] for fields, _ in WRONG])
def test_a_wrong_route_is_refused_by_the_chart_as_it_is_by_the_gateway(
    chart: Chart, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        parse_routes({"/v1/items": {"upstream": "http://a", **fields}})

    sentence = refusal(chart, {"services": {"items": {"routes": {"/v1/items": fields}}}})

    assert "/v1/items" in sentence.replace("~1", "/")
    assert named in sentence.split("/v1/items" if "~1" not in sentence else "~1items", 1)[1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"services.items.routes": {"/v1/itemsets": {}}}, "services.items.routes./v1/itemsets is neither one of"),
        ({"services.items.routes": {"/v1/items/../x": {}}}, "services.items.routes./v1/items/../x: . and .. are no"),
        ({"services.items.routes": {"/v1/items/": {}}}, "additional properties '/v1/items/' not allowed"),
        ({"services.items.routes": {"/v1/items": {"max_body_bytes": 16777217}}},
         "services.items.routes./v1/items.max_body_bytes is 16777217, over the 16777216 of any route"),
        ({"services.items.routes": {"/v1/items": {"without_state": "closed"}}, "services.gateway.uses": [],
          "tokens.jwksUrl": "https://id.example.com", "tokens.peers": [{"podSelector": {}}], "services.auth": None,
          "services.gateway.calls": ["items"]},
         "services.items.routes./v1/items.without_state is closed and services.gateway.uses lacks state"),
        ({"services.items.routes": {"/v1/items": {"limits": [LIMIT | {"count": 50_000, "seconds": 86_400}]}},
          "services.gateway.autoscaling.minReplicas": 100, "services.gateway.autoscaling.maxReplicas": 100},
         "services.items.routes./v1/items.limits.0: count, seconds and burst are, among 100 gateways, too large"),
        ({"services.items.paths": ["/docs"]}, "services.items.paths: /docs is the gateway's own"),
        ({"services.items.paths": ["/"]}, "services.items.paths: / is the gateway's own"),
        ({"services.items.paths": ["/openapi.json"]}, "services.items.paths: /openapi.json is the gateway's own"),
        ({"services.items.paths": ["/v1/.."]}, "services.items.paths: /v1/..: . and .. are no parts of a path"),
        ({"services.items.public": True}, "services.items.public is true and so is services.gateway.public"),
        ({"services.gateway.tokens": "none"}, "services.gateway.tokens is none: the gateway checks tokens"),
        ({"services.gateway.paths": ["/v1/x"]}, "services.gateway.paths: the gateway has those of the services"),
        ({"services.gateway.calls": [], "services.auth.paths": [], "services.auth.routes": None},
         "services.gateway.calls: none of the services that it calls has paths"),
        ({"services.gateway.calls": ["auth"], "services.items.routes": {"/v1/items": {"timeout_seconds": 3}}},
         "services.items.routes: services.gateway.calls does not name items"),
        ({"services.gateway.env.ROUTES_FILE": "x"}, "services.gateway.env.ROUTES_FILE: the chart sets this variable"),
        ({"services.items-pods": {}}, "services.items-pods: names that end in"),
    ],
)  # fmt: skip
def test_routes_that_cannot_work_are_refused_with_a_sentence(
    chart: Chart, changes: dict[str, object], sentence: str
) -> None:
    values: dict[str, Any] = {}
    for path, value in changes.items():
        merge(values, nested(path, value))

    assert sentence in refusal(chart, values)


@pytest.mark.parametrize(
    ("values", "replicas"),
    [
        ({"autoscaling": {"driver": "none"}, "replicas": 3}, "3"),
        ({"autoscaling": {"driver": "hpa", "minReplicas": 2, "maxReplicas": 9}}, "2"),
        ({"autoscaling": {"driver": "none"}, "replicas": 0}, "1"),
    ],
)
def test_gateways_share_a_limit_by_how_many_there_are_at_least(
    chart: Chart, values: dict[str, Any], replicas: str
) -> None:
    rendered = chart.render(environment("dev"), {"services": {"gateway": values}})

    assert variables(pod(rendered)["spec"]["containers"][0])["LIMIT_REPLICAS"] == replicas


def test_the_gateway_knows_its_services_from_the_routes_alone(dev: Objects) -> None:
    env = variables(pod(dev)["spec"]["containers"][0])

    assert {name for name in env if name.endswith("_URL")} == {"AUTH_URL", "STATE_URL"}


def test_helm_test_asks_the_gateway_for_a_path_that_wants_a_token(dev: Objects) -> None:
    (container,) = dev.one("Pod", "slipway-gateway-test")["spec"]["containers"]

    assert container["args"] == ["/v1/items"]


def test_the_routes_of_the_book_are_accepted_and_say_what_it_says(chart: Chart) -> None:
    values = values_of("operations.md", "Limits at the gateway")

    routes = {route.path: route for route in parse_routes(table(chart.render(environment("production"), values)))}

    assert [quota.per for quota in routes["/v1/items"].quotas] == ["principal", "address", "principal"]
    assert routes["/v1/items/export"].timeout_seconds == 300

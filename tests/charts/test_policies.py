"""What `calls` and `uses` open, and what stays shut."""

from itertools import product

import pytest

from tests.charts.chart import EVERYTHING, Chart, Objects
from tests.charts.conftest import environment
from tests.charts.policies import Address, Network, Pod

SHOP = {
    "origin": "https://slipway.example.com",
    "services": {
        "worker": {"calls": ["items"]},
    },
}
"""Beside those of the chart's own values a service that calls items; only the gateway is public."""
OUTSIDE = {
    "services": {"auth": None, "gateway": {"calls": ["items"]}},
    "tokens": {
        "issuer": "https://id.example.com/",
        "jwksUrl": "https://id.example.com/.well-known/jwks.json",
        "peers": [{"ipBlock": {"cidr": "203.0.113.10/32"}}],
    },
}
"""Keys of somebody else's identity provider, in the place of auth."""
WITHOUT_GATEWAY = {"gateway": None, "items": {"public": True}, "auth": {"public": True}}
COMPONENTS = ["gateway", "items", "auth", "worker", "postgres", "cache", "state", "roles", "test",
              "items-migrate", "auth-migrate", "auth-cron"]  # fmt: skip
PORTS = [5432, 6379, 8000, 9000]
OPEN = {
    ("gateway", "items", 8000), ("gateway", "auth", 8000), ("items", "auth", 8000), ("worker", "items", 8000),  # calls
    ("gateway", "state", 6379),
    ("items", "postgres", 5432), ("items", "cache", 6379), ("items", "state", 6379),  # uses; state for what is revoked
    ("auth", "postgres", 5432), ("auth", "state", 6379),
    ("items-migrate", "postgres", 5432), ("auth-migrate", "postgres", 5432), ("roles", "postgres", 5432),  # Jobs
    ("auth-cron", "postgres", 5432), ("auth-cron", "state", 6379),
    *product(["test"], ["gateway", "items", "auth", "worker"], [8000, 9000]),
}  # fmt: skip


def component(name: str, release: str = "slipway") -> Pod:
    """A pod of the release."""
    labels = {"name": "slipway", "instance": release, "component": name}
    return Pod({f"app.kubernetes.io/{key}": value for key, value in labels.items()})


def network(objects: Objects) -> Network:
    """The policies of the rendered objects."""
    return Network(list(objects.kind("NetworkPolicy").values()))


@pytest.fixture(scope="module")
def shop(chart: Chart) -> Network:
    """Policies over three services."""
    return network(chart.render(SHOP))


def test_inside_the_release_exactly_calls_uses_jobs_and_the_test_are_open(shop: Network) -> None:
    seen = {
        (source, target, port)
        for source, target, port in product(COMPONENTS, COMPONENTS, PORTS)
        if source != target and shop.allows(component(source), component(target), port)
    }

    assert seen == OPEN


def test_each_side_alone_is_as_strict_as_both(shop: Network) -> None:
    pairs = [(a, b, port) for a, b, port in product(COMPONENTS, COMPONENTS, PORTS) if a != b]

    assert {p for p in pairs if shop.lets_out(component(p[0]), component(p[1]), p[2])} == OPEN
    assert {p for p in pairs if shop.lets_in(component(p[1]), component(p[0]), p[2])} == OPEN


def test_labels_used_here_are_those_of_the_pods(dev: Objects) -> None:
    labels = [pod["metadata"]["labels"] for _, pod in dev.pods()]

    for name in set(COMPONENTS) - {"worker"}:  # which dev does not have
        assert any(component(name).labels.items() <= seen.items() for seen in labels), name


@pytest.mark.parametrize("name", COMPONENTS)
def test_nobody_reaches_the_world(shop: Network, name: str) -> None:
    assert not shop.allows(component(name), Address("198.51.100.1"), 443)
    assert not shop.allows(component(name), Pod({}, namespace="other"), 443)
    assert not shop.allows(component(name), Pod({"k8s-app": "kube-dns"}, namespace="other"), 53, "UDP")


@pytest.mark.parametrize("name", COMPONENTS)
def test_everybody_may_ask_dns(shop: Network, name: str) -> None:
    dns = Pod({"k8s-app": "kube-dns"}, namespace="kube-system")

    assert shop.allows(component(name), dns, 53, "UDP")
    assert shop.allows(component(name), dns, 53, "TCP")
    assert not shop.allows(component(name), dns, 9153)
    assert not shop.allows(component(name), Pod({}, namespace="kube-system"), 53, "UDP")


@pytest.mark.parametrize(("name", "port"), list(product(COMPONENTS, PORTS)))
def test_the_edge_reaches_the_application_port_of_the_gateway_only(shop: Network, name: str, port: int) -> None:
    edge = Pod({}, namespace="ingress-nginx")

    assert shop.allows(edge, component(name), port) == (name == "gateway" and port == 8000)


def test_without_a_gateway_the_edge_reaches_what_is_public(chart: Chart) -> None:
    rendered = network(chart.render(environment("dev"), {"services": WITHOUT_GATEWAY}))
    edge = Pod({}, namespace="ingress")

    assert rendered.allows(edge, component("items"), 8000)
    assert rendered.allows(edge, component("auth"), 8000)
    assert not rendered.allows(edge, component("items"), 9000)


def test_the_pods_of_either_edge_are_admitted_where_it_is_on(chart: Chart) -> None:
    gateway = component("gateway")
    both = network(chart.render(EVERYTHING))
    one = network(chart.render(EVERYTHING, "ingress.enabled=false"))
    other = network(chart.render(EVERYTHING, "gatewayApi.enabled=false"))
    none = network(chart.render(EVERYTHING, "gatewayApi.enabled=false", "ingress.enabled=false"))

    edges = (Pod({}, namespace="edge"), Pod({}, namespace="gateways"))
    seen = [tuple(each.allows(edge, gateway, 8000) for edge in edges) for each in (both, one, other, none)]
    assert seen == [(True, True), (False, True), (True, False), (False, False)]


@pytest.mark.parametrize(("name", "port"), list(product(COMPONENTS, PORTS)))
def test_prometheus_reaches_the_management_port_of_services_only(shop: Network, name: str, port: int) -> None:
    prometheus = Pod({}, namespace="monitoring")

    assert shop.allows(prometheus, component(name), port) == (
        name in {"gateway", "items", "auth", "worker"} and port == 9000
    )


@pytest.mark.parametrize("name", COMPONENTS)
def test_other_namespaces_and_other_releases_reach_nobody(shop: Network, name: str) -> None:
    strangers: list[Pod | Address] = [
        Pod({}, namespace="other"),
        Pod({}),
        component("items", release="other"),
        Address("10.0.0.1"),
    ]

    for stranger, port in product(strangers, PORTS):
        assert not shop.allows(stranger, component(name), port)


def test_a_call_opens_one_direction(shop: Network) -> None:
    assert shop.allows(component("worker"), component("items"), 8000)
    assert not shop.allows(component("items"), component("worker"), 8000)


def test_peers_outside_are_open_where_they_are_named(chart: Chart) -> None:
    rendered = network(chart.render(EVERYTHING))
    caller = Pod({"app": "caller"}, namespace="tools")
    rendered.namespace_labels["tools"] = {"team": "tools"}

    for name in ("items", "worker"):
        assert rendered.allows(component(name), Address("203.0.113.1"), 443)
        assert not rendered.allows(component(name), Address("203.0.113.7"), 443)  # excepted
        assert not rendered.allows(component(name), Address("203.0.113.1"), 80)
        assert rendered.allows(caller, component(name), 8000)
        assert not rendered.allows(caller, component(name), 9000)
        assert not rendered.allows(Pod({}, namespace="tools"), component(name), 8000)
        assert rendered.allows(component(name), Pod({}, namespace="tracing"), 4318)
        assert not rendered.allows(component(name), Pod({}, namespace="tracing"), 4317)


def test_a_dns_cache_on_the_node_and_keys_outside_are_open_where_they_are_named(chart: Chart) -> None:
    rendered = network(chart.render(EVERYTHING))
    cache, keys = Address("169.254.20.10"), Address("203.0.113.10")

    for name in ("items", "worker", "state", "roles", "items-migrate", "items-cron"):
        assert rendered.lets_out(component(name), cache, 5353, "UDP")
        assert not rendered.lets_out(component(name), cache, 80)
    production = network(chart.render(environment("production"), OUTSIDE))
    assert production.allows(component("items"), keys, 443)
    assert not production.allows(component("items"), keys, 80)
    assert not production.allows(component("items-migrate"), keys, 443)


def test_who_verifies_tokens_calls_auth_where_it_is_there(chart: Chart, dev: Objects) -> None:
    assert network(dev).allows(component("items"), component("auth"), 8000)
    assert not network(dev).allows(component("auth"), component("items"), 8000)
    assert network(dev).allows(component("items"), component("state"), 6379)  # what was revoked
    elsewhere = network(chart.render(environment("dev"), OUTSIDE))
    assert not elsewhere.allows(component("items"), component("auth"), 8000)
    assert not elsewhere.allows(component("items"), component("state"), 6379)


def test_who_sends_mail_reaches_the_server_and_nobody_else_does(chart: Chart) -> None:
    production, server = network(chart.render(environment("production"))), Address("203.0.113.25")

    assert production.allows(component("auth"), server, 587)
    assert not production.allows(component("auth"), server, 25)
    for name in ("items", "auth-cron", "auth-migrate"):
        assert not production.allows(component(name), server, 587)
    without = network(chart.render(environment("production"), "mail.mailer=none"))
    assert not without.allows(component("auth"), server, 587)


def test_the_port_of_a_redis_whose_url_is_secret_is_the_one_of_the_values(chart: Chart) -> None:
    cache = {"deploy": False, "existingSecret": "own", "port": 6390, "peers": [{"ipBlock": {"cidr": "203.0.113.6/32"}}]}

    rendered = network(chart.render(environment("dev"), {"cache": cache}))

    assert rendered.allows(component("items"), Address("203.0.113.6"), 6390)
    assert not rendered.allows(component("items"), Address("203.0.113.6"), 6379)


def test_external_stores_are_open_to_their_users_alone(chart: Chart) -> None:
    rendered = network(chart.render(EVERYTHING))
    postgres, cache = Address("203.0.113.5"), Address("203.0.113.6")

    assert rendered.allows(component("items"), postgres, 6432)
    assert rendered.allows(component("roles"), postgres, 6432)
    assert rendered.allows(component("items"), cache, 6380)
    assert not rendered.allows(component("worker"), postgres, 6432)
    assert not rendered.allows(component("roles"), cache, 6380)


def test_the_environment_of_dev_opens_what_is_needed(dev: Objects) -> None:
    rendered = network(dev)

    assert rendered.allows(component("items"), component("auth"), 8000)
    assert rendered.allows(Pod({"app": "traefik"}, namespace="ingress"), component("gateway"), 8000)
    assert not rendered.allows(component("auth"), component("cache"), 6379)


def test_without_network_policies_none_is_rendered(chart: Chart) -> None:
    objects = chart.render(EVERYTHING, "networkPolicies.enabled=false")

    assert objects.kind("NetworkPolicy") == {}

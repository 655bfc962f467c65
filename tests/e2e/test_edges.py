"""One suite for both ways in, Ingress and HTTPRoute: what a client outside sees must not depend on the edge."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address, ip_network
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from k8s.local import paths
from tests.e2e import echo, edge
from tests.e2e.kube import Kube
from tests.e2e.releases import OwnRelease, merged
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.e2e

UPLOAD_BYTES = 10 * 1024 * 1024
GATEWAY = "edge"
LISTENERS = {"https": 8443, "http": 8000}
"""Of the node's edge: Traefik takes a listener whose port is that of one of its entry points."""
EDGE_NAMESPACE = "ingress"
PODS_NETWORK = ip_network("10.244.0.0/16")


def gateway_api(namespace: str) -> dict[str, Any]:
    """Values with an HTTPRoute in place of the Ingress."""
    https, http = ({"name": GATEWAY, "namespace": namespace, "sectionName": name} for name in LISTENERS)
    return {
        "ingress": {"enabled": False},
        "gatewayApi": {
            "enabled": True,
            "parentRefs": [https],
            "redirectRefs": [http],
            "namespaces": [EDGE_NAMESPACE],
        },
    }


def make_gateway(kube: Kube, namespace: str) -> None:
    """What a cluster's owner has: a Gateway with the certificate and a listener for each scheme."""
    tls = {"mode": "Terminate", "certificateRefs": [{"name": paths.TLS_SECRET}]}
    listeners = [
        {"name": "https", "port": LISTENERS["https"], "protocol": "HTTPS", "tls": tls},
        {"name": "http", "port": LISTENERS["http"], "protocol": "HTTP"},
    ]
    kube.create(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": GATEWAY, "namespace": namespace},
            "spec": {"gatewayClassName": "traefik", "listeners": listeners},
        }
    )


@pytest.fixture(scope="module", params=["Ingress", "HTTPRoute"])
def way_in(kube: Kube, release: OwnRelease, request: pytest.FixtureRequest) -> Iterator[OwnRelease]:
    """The tests' own release with a service that says what it saw, behind either edge."""
    values = echo.values(["items", "auth"])
    if request.param == "HTTPRoute":
        if not kube.exists("Gateway", GATEWAY, release.namespace):
            make_gateway(kube, release.namespace)
        values = merged(values, gateway_api(release.namespace))
    with release.changed(values), echo.running(release):
        assert {kind for kind in ("Ingress", "HTTPRoute") if release.objects(kind)} == {request.param}
        with edge.client(release.host) as client:
            wait_until(
                f"{release.host} answers by {request.param}",
                lambda: client.post(echo.PATH).status_code == 200,
                seconds=60,
                otherwise=release.report,
            )
        yield release


@pytest.fixture
def client(way_in: OwnRelease) -> Iterator[httpx2.Client]:
    """A client of that release."""
    with edge.client(way_in.host) as opened:
        yield opened


def tls(*, newest: ssl.TLSVersion | None = None, protocols: tuple[str, ...] = ()) -> ssl.SSLSocket:
    """A connection to the edge, encrypted."""
    context = ssl.create_default_context(cafile=str(paths.ca_certificate()))
    if newest is not None:
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # or this side would be the one that refuses
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    if protocols:
        context.set_alpn_protocols(list(protocols))
    plain = socket.create_connection(("127.0.0.1", paths.HTTPS_PORT), timeout=10)
    return context.wrap_socket(plain, server_hostname=paths.HOST)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_is_1_2_or_newer(way_in: OwnRelease) -> None:
    del way_in
    with closing(tls()) as connection:
        assert connection.version() == "TLSv1.3"
    with closing(tls(newest=ssl.TLSVersion.TLSv1_2)) as connection:
        assert connection.version() == "TLSv1.2"
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        tls(newest=ssl.TLSVersion.TLSv1_1)


def test_http_2_is_spoken_where_the_client_does(way_in: OwnRelease) -> None:
    resolve = f"{way_in.host}:{paths.HTTPS_PORT}:127.0.0.1"
    command = ["curl", "--silent", "--show-error", "--insecure", "--max-time", "15", "--resolve", resolve]
    command += ["--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"]
    for option, version in (("--http2", "2"), ("--http1.1", "1.1")):
        done = subprocess.run(
            [*command, option, f"https://{way_in.host}:{paths.HTTPS_PORT}{echo.PATH}"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.stdout == f"{version} 200", done.stderr


def test_plain_http_is_sent_on_to_the_origin(way_in: OwnRelease) -> None:
    host = f"{way_in.host}:{paths.HTTP_PORT}"
    with httpx2.Client(base_url=f"http://127.0.0.1:{paths.HTTP_PORT}", trust_env=False, timeout=15) as plain:
        answer = plain.get("/v1/echo/a?b=c", headers={"Host": host})

    assert answer.status_code in {301, 308}
    assert answer.headers["location"] == f"https://{way_in.host}:{paths.HTTPS_PORT}/v1/echo/a?b=c"


@pytest.mark.parametrize("path", ["/", echo.PATH, "/v1/items", "/v1/nowhere"])
def test_every_answer_has_the_headers_for_browsers(client: httpx2.Client, path: str) -> None:
    headers = client.get(path).headers

    assert headers["strict-transport-security"] == "max-age=60; includeSubDomains"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert headers["x-request-id"]
    assert "server" not in headers


def test_ten_megabytes_arrive_whole(client: httpx2.Client) -> None:
    answer = client.post(echo.PATH, content=bytes(UPLOAD_BYTES), timeout=60)

    assert answer.status_code == 200, answer.text
    assert answer.json()["bytes"] == UPLOAD_BYTES


def test_more_than_the_gateway_takes_is_refused_by_the_gateway(client: httpx2.Client) -> None:
    answer = client.post(echo.PATH, content=bytes(17 * 1024 * 1024), timeout=60)

    assert answer.status_code == 413
    assert answer.headers["content-type"] == edge.PROBLEM


def test_a_web_socket_goes_through(way_in: OwnRelease) -> None:
    context = ssl.create_default_context(cafile=str(paths.ca_certificate()))
    context.check_hostname = False  # the certificate is the local origin's
    address = f"wss://{way_in.host}:{paths.HTTPS_PORT}{echo.PATH}/ws"
    plain = socket.create_connection(("127.0.0.1", paths.HTTPS_PORT), timeout=10)
    with connect(address, sock=plain, ssl=context, server_hostname=paths.HOST, proxy=None) as talk:
        for word in ("one", "two"):
            talk.send(word)
            assert talk.recv(timeout=10) == word.upper()


def test_events_come_one_by_one(way_in: OwnRelease, client: httpx2.Client) -> None:
    with client.stream("GET", f"{echo.PATH}/events", timeout=30) as events, edge.client(way_in.host) as other:
        lines = (line for line in events.iter_lines() if line)
        assert next(lines) == "data: first"  # while the service still waits
        other.post(f"{echo.PATH}/let").raise_for_status()
        assert next(lines) == "data: second"
        assert next(lines, "") == ""


def test_a_service_sees_the_address_of_the_client_and_not_what_it_claims(client: httpx2.Client) -> None:
    claimed = {"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.7", "Forwarded": "for=198.51.100.7"}

    seen = client.post(echo.PATH, headers=claimed).json()

    print(f"the service sees {seen['headers']['x-forwarded-for']} by way of {seen['host']}")
    assert "198.51.100.7" not in json.dumps(seen)
    assert ip_address(seen["host"]) in PODS_NETWORK  # the gateway's pod, and so a trusted hop
    assert ip_address(seen["headers"]["x-forwarded-for"]) not in PODS_NETWORK  # neither the edge's nor the gateway's
    assert seen["headers"]["x-forwarded-proto"] == "https"

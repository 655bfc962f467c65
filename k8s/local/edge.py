"""The way from this machine's loopback ports to the cluster's edge, and whether it leads to Slipway."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from k8s.local import commands, paths, preflight, processes
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.node.progress import Progress

FORWARDER = "forwarder"
START_SECONDS, ANSWER_SECONDS = 10, 60
OK = 200
PROBES = {"/": "200", "/.well-known/jwks.json": "200", "/v1/items": "401"}
"""By path what the platform answers to somebody without a token: the gateway for itself, for auth and for items."""


def check_ports() -> None:
    """Raise LocalError when the port of the public origin is somebody else's."""
    if not processes.running(FORWARDER):
        preflight.check_port(paths.HTTPS_PORT)


def open_way(cluster: Cluster, progress: Progress) -> None:
    """Start the forwarder, unless the cluster maps its ports by itself."""
    if cluster.provider == "kind":
        return
    address = cluster.edge or _ingress_address(cluster)
    tls, plain = f"{paths.HTTPS_PORT}:{address}:443", f"{paths.HTTP_PORT}:{address}:80"
    now = processes.running(FORWARDER)
    if now is None or now.code != processes.code() or now.arguments not in (["forward", tls], ["forward", tls, plain]):
        close_way()  # it leads to another cluster, or is of other sources
        routes = [tls]
        try:
            preflight.check_port(paths.HTTP_PORT)
        except LocalError as taken:
            progress(f"http://{paths.HOST}:{paths.HTTP_PORT} is not forwarded: {taken}")
        else:
            routes.append(plain)
        processes.start(FORWARDER, ["forward", *routes], paths.logs() / "forwarder.log")
    _wait_until_listening()


def close_way() -> None:
    """End the forwarder."""
    processes.stop(FORWARDER)


def wait_until_answers() -> None:
    """Ask through the edge, over TLS, until the platform answers; raises LocalError with the last answer."""
    deadline = time.monotonic() + ANSWER_SECONDS
    for path, expected in PROBES.items():
        while (answer := ask(path)) != expected:
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{paths.ORIGIN}{path} answers {answer} after {ANSWER_SECONDS} s instead of {expected}; "
                    f"look at the ingress controller's log and at {paths.logs() / 'forwarder.log'}."
                )
            time.sleep(0.5)


def complaint() -> str:
    """What does not answer as it should at this moment, or ""."""
    found = [f"{paths.ORIGIN}{path} answers {answer}" for path in PROBES if (answer := ask(path)) != PROBES[path]]
    return "; ".join(found)


def ask(path: str, *, form: Mapping[str, str] | None = None, basic: str = "") -> str:
    """The status of the answer, or in words why there is none."""
    try:
        return str(send(path, form=form, basic=basic)[0])
    except LocalError as error:
        return str(error)


def send(path: str, *, form: Mapping[str, str] | None = None, basic: str = "") -> tuple[int, bytes]:
    """Status and body of a GET, or with a form of a POST. Raises LocalError when there is no answer."""
    method, body = ("GET", None) if form is None else ("POST", urlencode(form))
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
    if basic:
        headers["Authorization"] = f"Basic {basic}"
    context = ssl.create_default_context(cafile=str(paths.ca_certificate()))
    try:
        # by address: not every resolver knows that *.localhost is this machine (RFC 6761 section 6.3)
        with socket.create_connection(("127.0.0.1", paths.HTTPS_PORT), timeout=5) as plain:
            connection = http.client.HTTPSConnection(paths.HOST, paths.HTTPS_PORT)
            connection.sock = context.wrap_socket(plain, server_hostname=paths.HOST)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise LocalError(str(error)) from error


def _wait_until_listening() -> None:
    deadline = time.monotonic() + START_SECONDS
    log = paths.logs() / "forwarder.log"
    while True:
        try:
            socket.create_connection(("127.0.0.1", paths.HTTPS_PORT), timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline or processes.running(FORWARDER) is None:
                cause = commands.last_line(log.read_text())
                raise LocalError(f"The forwarder did not start: {cause}; its log is {log}.") from error
            time.sleep(0.05)
        else:
            return


def _ingress_address(cluster: Cluster) -> str:
    """Where the ingress controller of somebody's cluster says it is reached."""
    text = commands.run(*cluster.kubectl("-n", paths.NAMESPACE, "get", "ingress", "-o", "json"))
    for ingress in json.loads(text)["items"]:
        for entry in ingress["status"].get("loadBalancer", {}).get("ingress", []):
            return str(entry.get("ip") or entry["hostname"])
    raise LocalError("The Ingress has no address yet; name the edge of that cluster by EDGE=address.")

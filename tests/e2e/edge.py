"""Clients that go the way of a user: TLS to the edge on loopback, with the local CA and nothing else trusted."""

import ssl

import httpx2

from k8s.local import paths

PROBLEM = "application/problem+json"

Machine = tuple[str, str]
"""Id and secret of a client, in the order of HTTP's Basic authentication."""


def client(host: str = paths.HOST, *, context: ssl.SSLContext | None = None) -> httpx2.Client:
    """A client of `https://host:8443`, reached at loopback whatever resolves that name.

    TLS always asks for the certificate of the local origin. Hosts of a test's own releases have none of theirs, and
    what is tested there is not the certificate.
    """

    def ask_for_certificate(request: httpx2.Request) -> None:
        request.extensions["sni_hostname"] = paths.HOST

    return httpx2.Client(
        base_url=f"https://127.0.0.1:{paths.HTTPS_PORT}",
        headers={"Host": f"{host}:{paths.HTTPS_PORT}"},
        verify=context or ssl.create_default_context(cafile=str(paths.ca_certificate())),
        event_hooks={"request": [ask_for_certificate]},
        timeout=15,
        trust_env=False,
    )


def token(edge: httpx2.Client, machine: Machine) -> str:
    """An access token for the machine, from whatever the client leads to."""
    answer = edge.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=machine).raise_for_status()
    return str(answer.json()["access_token"])


def sign_in(edge: httpx2.Client, machine: Machine) -> httpx2.Client:
    """The same client, from now on with a token."""
    edge.headers["Authorization"] = f"Bearer {token(edge, machine)}"
    return edge


def make_item(**overrides: object) -> dict[str, object]:
    """The body of a new item."""
    return {"name": "Desk lamp", "price_minor": 4900, "currency": "EUR", **overrides}

"""Clients that go the way of a user: TLS to the edge on loopback, with the local CA and nothing else trusted."""

import ssl

import httpx2

from k8s.local import paths

PROBLEM = "application/problem+json"


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


def sign_in(edge: httpx2.Client, subject: str = "alice", scope: str = "items:read items:write") -> httpx2.Client:
    """The same client, from now on with a token of the development issuer."""
    form = {"grant_type": "client_credentials", "client_id": subject, "scope": scope}
    answer = edge.post("/oauth2/token", data=form).raise_for_status()
    edge.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return edge


def make_item(**overrides: object) -> dict[str, object]:
    """The body of a new item."""
    return {"name": "Desk lamp", "price_minor": 4900, "currency": "EUR", **overrides}

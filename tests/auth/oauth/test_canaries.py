"""No secret of any flow shows in a log, a trace, a metric, the audit log, an error or an address."""

import base64
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

import httpx2
import pytest
from prometheus_client import generate_latest

from services.auth.main import create_app
from services.auth.settings import AuthSettings
from services.common.logging import configure_logging
from tests.auth.oauth.app import OAuthApp
from tests.auth.oauth.conftest import SignIn
from tests.auth.oauth.flows import AUTHORIZE, TOKEN, USERINFO, VERIFIER, Flow
from tests.auth.oauth.parties import SECRET, Parties
from tests.support.clients import app_client
from tests.support.traces import Collector

WRONG = "a-wrong-secret-that-somebody-typed"


@dataclass
class Told:
    """What is secret, and what was said to those who had done something wrong."""

    secrets: set[str]
    refusals: list[str] = field(default_factory=list)

    def note(self, answer: httpx2.Response) -> None:
        """Keep an answer that is a refusal; others may hold what was asked for."""
        if answer.status_code >= 400 or "error=" in answer.headers.get("location", ""):
            self.refusals.append(f"{answer.status_code} {answer.text} {answer.headers!r}")

    def found_in(self, text: str) -> set[str]:
        """The secrets that stand in a text."""
        return {secret for secret in self.secrets if secret in text}


async def every_flow(flow: Flow) -> Told:
    """All that can be done and gone wrong, with secrets in every place where somebody may put them."""
    told = Told({SECRET, WRONG, VERIFIER, flow.cookie["Cookie"].partition("=")[2]})
    code = await flow.code(scope="openid email offline_access")
    tokens = (await flow.redeem(code)).json()
    fresh = (await flow.refresh(tokens["refresh_token"])).json()
    spent = await flow.code()
    for _ in range(2):
        await flow.redeem(spent)
    kinds = ("access_token", "refresh_token", "id_token")
    told.secrets |= {code, spent, *(answer[kind] for answer in (tokens, fresh) for kind in kinds)}
    for secret in (fresh["access_token"], fresh["refresh_token"], fresh["id_token"], code):
        await misuse_at_token_endpoints(flow, told, secret)
        await misuse_in_headers(flow, told, secret)
        await misuse_in_browser(flow, told, secret)
    return told


async def misuse_at_token_endpoints(flow: Flow, told: Told, secret: str) -> None:
    for path, form in (
        ("/oauth2/introspect", {"token": secret}),
        ("/oauth2/revoke", {"token": secret}),
        ("/oauth2/revoke", {"token": secret, "token_type_hint": secret, "client_secret": WRONG}),
        (TOKEN, {"grant_type": secret, "scope": secret}),
        (TOKEN, {"grant_type": "authorization_code", "code": secret, "redirect_uri": secret, "code_verifier": secret}),
        (TOKEN, {"grant_type": "refresh_token", "refresh_token": secret, "scope": secret}),
        (TOKEN, {"grant_type": "client_credentials", "client_id": secret, "client_secret": WRONG}),
    ):
        told.note(await flow.http.post(path, data={**flow.client.authentication(), **form}))


async def misuse_in_headers(flow: Flow, told: Told, secret: str) -> None:
    basic = base64.b64encode(f"{secret}:{WRONG}".encode()).decode()
    for value in (f"Basic {basic}", f"Bearer {secret}", secret):
        for path in (TOKEN, USERINFO, f"{TOKEN}?client_secret={WRONG}"):
            told.note(await flow.http.post(path, data={"grant_type": secret}, headers={"Authorization": value}))


async def misuse_in_browser(flow: Flow, told: Told, secret: str) -> None:
    for name in ("redirect_uri", "client_id", "scope", "prompt", "id_token_hint", "max_age", "response_type"):
        told.note(await flow.authorize(**{name: secret}))
    hint = {"id_token_hint": secret, "client_id": "x"}
    told.note(await flow.http.get("/oauth2/logout", params=hint, headers=flow.cookie))
    told.note(await flow.http.post(AUTHORIZE, content=WRONG.encode()))


@pytest.fixture
async def traced(
    settings: AuthSettings, app: OAuthApp, collector: Collector, parties: Parties, sign_in: SignIn
) -> AsyncGenerator[tuple[Flow, OAuthApp, Collector]]:
    server = replace(app, asgi=create_app(settings))  # anew, as tracing is asked for now
    person = parties.person("editor")
    async with app_client(server.asgi) as http:
        yield Flow(http, server, parties, parties.app(), person, await sign_in(person)), server, collector


async def test_no_secret_is_told_to_anybody_whom_it_does_not_belong_to(
    traced: tuple[Flow, OAuthApp, Collector], capsys: pytest.CaptureFixture[str]
) -> None:
    flow, server, collector = traced
    configure_logging("auth", "DEBUG")
    try:
        told = await every_flow(flow)
    finally:
        configure_logging("auth", "INFO")
    server.asgi.state.tracer_provider.force_flush()
    logged = capsys.readouterr()
    lines = [json.loads(line) for line in logged.out.splitlines() if line]
    audited = repr([dict(row) for row in flow.parties.sql("SELECT * FROM audit_entries")])

    assert len([line for line in lines if line["event"] == "request_finished"]) > 100
    assert not [line for line in lines if line["level"] == "error"]
    assert len(collector.spans()) > 100
    assert not told.found_in(logged.out + logged.err)
    assert not told.found_in(b"".join(collector.bodies).decode("latin-1"))
    assert not told.found_in(generate_latest(server.asgi.state.registry).decode())
    assert not told.found_in(audited)
    assert not told.found_in("".join(told.refusals))
    assert len(told.refusals) > 50
    assert not [refusal for refusal in told.refusals if refusal.startswith("5")]

"""The key set over HTTP, and rotation while tokens are issued and checked all the time."""

import asyncio
import re
import secrets

import httpx2
import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.auth.keys import ring as ring_module
from services.auth.keys.ring import KeyRing, open_key_ring
from services.auth.main import create_app
from services.common import jwks
from services.common.jwks import KeysAwayError, open_keys
from services.common.postgres import open_postgres, session_maker
from services.common.tasks import running
from services.common.tokens import TokenVerifier
from tests.auth.conftest import MakeSettings
from tests.auth.keys.conftest import Keys, key_service
from tests.auth.keys.tokens import claims
from tests.support.clients import app_client
from tests.support.waits import until

PATH = "/.well-known/jwks.json"
TRAFFIC_SECONDS = 120


async def test_the_key_set_holds_public_members_and_no_other(keys: Keys) -> None:
    await keys.rotate()
    await keys.do(lambda service: service.rotate(publish_now=True))
    app = create_app(keys.settings)
    async with app_client(app) as client:
        answer = await client.get(PATH)
        await app.state.health.check_now()

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=25"  # a quarter of the lead
    published = answer.json()["keys"]
    assert {key["kid"] for key in published} == {key.kid for key in await keys.all()}
    assert len(published) == 2
    for key in published:
        assert key.keys() == {"kty", "use", "alg", "kid", "n", "e"}
        assert (key["kty"], key["use"], key["alg"], key["e"]) == ("RSA", "sig", "RS256", "AQAB")
        assert re.fullmatch("[A-Za-z0-9_-]{342}", key["n"])  # 2048 bits


async def test_readiness_waits_for_a_key_to_sign_with(keys: Keys) -> None:
    app = create_app(keys.settings)
    async with app_client(app):
        await app.state.health.check_now()
        assert app.state.health.checks["signing_keys"] == "ok"


async def test_a_key_that_turns_out_wrong_after_the_start_keeps_it_from_being_ready_and_says_why(
    keys: Keys, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres was away at the start: there was nothing yet to see that it is wrong."""
    await keys.rotate()
    monkeypatch.setattr(ring_module, "REFRESH_SECONDS", 0.01)
    ring = KeyRing(make_settings(key_encryption_key=secrets.token_hex(32)), keys.sessions)

    with structlog.testing.capture_logs() as logs:
        async with running(ring.keep_fresh, "signing keys"):
            await until(lambda: logs, "a line about it")
        with pytest.raises(KeysAwayError, match="PREVIOUS_KEY_ENCRYPTION_KEY"):
            await ring.ready()

    assert {line["event"] for line in logs} == {"signing_keys_not_opened"}


async def test_rotation_under_traffic_refuses_not_one_valid_token(
    keys: Keys, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days are seconds here: a key signs for four, is published three before, services look three times a second."""
    monkeypatch.setattr(ring_module, "REFRESH_SECONDS", 0.1)
    monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0.3)
    settings = make_settings(key_signing_seconds=4, key_publish_seconds=3)
    ended = asyncio.Event()

    async def rotate() -> None:
        while not ended.is_set():
            async with key_service(keys.sessions, settings) as service:
                await service.rotate()
            await asyncio.sleep(0.1)

    async with (
        open_postgres(settings, CollectorRegistry()) as engine,
        app_client(create_app(settings)) as publishing,
        open_key_ring(settings, session_maker(engine)) as signing,  # another replica than the one that publishes
        open_keys(f"{publishing.base_url}{PATH}") as remote,
    ):
        verifier = TokenVerifier(remote, issuer=settings.issuer, audience=settings.audience)
        rotating = asyncio.create_task(rotate())
        issued: dict[str, str] = {}  # the first token of each key: the oldest that must still be good
        async with asyncio.timeout(TRAFFIC_SECONDS):
            while len(issued) < 4:
                token = signing.sign(claims(settings), "at+jwt")
                principal = await verifier.verify(token)  # raises what a service would answer with 401
                issued.setdefault(principal.key_id, token)
                for old in issued.values():
                    await verifier.verify(old)
                await asyncio.sleep(0.02)
        ended.set()
        await rotating


async def test_before_the_keys_are_read_the_answer_is_503(keys: Keys, make_settings: MakeSettings) -> None:
    app = create_app(make_settings(database_url=re.sub("/[^/]*$", "/none", keys.url)))
    async with app_client(app) as client:
        answer: httpx2.Response = await client.get(PATH)

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "cache-control" not in answer.headers or "no-store" in answer.headers["cache-control"]

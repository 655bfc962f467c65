"""What a process knows of the keys: true copies, the last good ones while the database is away, no forged ones."""

import os
import secrets
import time
import uuid
from collections.abc import AsyncGenerator, Iterator

import pytest
from joserfc.jwk import RSAKey
from prometheus_client import CollectorRegistry

from services.auth.keys import ring as ring_module
from services.auth.keys.ring import KeyRing, open_key_ring
from services.auth.keys.service import new_key, public_jwk
from services.auth.sealing import SealedWithAnotherKeyError
from services.auth.settings import AuthSettings
from services.common.exceptions import UnauthenticatedError, UnavailableError
from services.common.jwks import KeysAwayError
from services.common.migrations import migrate
from services.common.postgres import SessionMaker, open_postgres, session_maker
from services.common.settings import MigrationSettings
from services.common.tokens import TokenVerifier
from tests.auth.conftest import MakeSettings
from tests.auth.keys.conftest import Keys
from tests.auth.keys.tokens import claims, signed_by
from tests.support.clock import Clock
from tests.support.databases import execute
from tests.support.servers import Server, new_database, postgres_server
from tests.support.waits import until


def verifier(ring: KeyRing, settings: AuthSettings) -> TokenVerifier:
    return TokenVerifier(ring, issuer=settings.issuer, audience=settings.audience)


async def test_a_token_that_the_ring_signs_is_believed_by_whoever_has_its_keys(keys: Keys) -> None:
    ring = await keys.ring()

    principal = await verifier(ring, keys.settings).verify(ring.sign(claims(keys.settings), "at+jwt"))

    assert principal.subject == "alice"
    assert principal.key_id == (await keys.all())[0].kid


async def test_what_a_revoked_key_signed_is_refused_as_soon_as_the_ring_has_looked(keys: Keys) -> None:
    ring = await keys.ring()
    token = ring.sign(claims(keys.settings), "at+jwt")
    stolen = (await keys.all())[0].kid

    await keys.do(lambda service: service.revoke(stolen))
    await ring.refresh()

    assert await ring.get(stolen) is None
    with pytest.raises(UnauthenticatedError):
        await verifier(ring, keys.settings).verify(token)
    await verifier(ring, keys.settings).verify(ring.sign(claims(keys.settings), "at+jwt"))


async def test_a_running_process_hears_of_a_rotation_by_itself(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_module, "REFRESH_SECONDS", 0.05)
    async with open_key_ring(keys.settings, keys.sessions) as ring:
        assert len(ring.jwks()["keys"]) == 1
        await keys.do(lambda service: service.rotate(publish_now=True))
        await until(lambda: len(ring.jwks()["keys"]) == 2, "the published key")


async def test_whatever_goes_wrong_once_the_ring_goes_on_following(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_module, "REFRESH_SECONDS", 0.05)
    async with open_key_ring(keys.settings, keys.sessions) as ring:
        true_refresh, failed = ring.refresh, 0

        async def refresh() -> None:
            nonlocal failed
            failed += 1
            if failed == 1:
                raise RuntimeError("what nobody thought of")
            await true_refresh()

        monkeypatch.setattr(ring, "refresh", refresh)
        await keys.do(lambda service: service.rotate(publish_now=True))
        await until(lambda: len(ring.jwks()["keys"]) == 2, "the published key")


async def test_gauges_tell_age_states_and_the_time_to_the_next_rotation(keys: Keys) -> None:
    await keys.rotate()
    keys.later(901)
    await keys.rotate()
    registry = CollectorRegistry()
    ring = KeyRing(keys.settings, keys.sessions, registry)
    assert registry.get_sample_value("auth_signing_key_age_seconds") is None
    await ring.refresh()

    assert registry.get_sample_value("auth_signing_key_age_seconds") == pytest.approx(901, abs=20)
    assert registry.get_sample_value("auth_signing_key_rotation_seconds") == pytest.approx(99, abs=20)
    states = {s: registry.get_sample_value("auth_signing_keys", {"state": s}) for s in ring_module.STATES}
    assert states == {"published": 1, "signing": 1, "retiring": 0}
    name = "auth_signing_key_expiry_timestamp_seconds"
    until_end = {
        s: (registry.get_sample_value(name, {"state": s}) or 0) - time.time() for s in ("published", "signing")
    }
    seconds = keys.settings.key_signing_seconds
    assert until_end["signing"] == pytest.approx(seconds - 901, abs=20)
    assert until_end["published"] == pytest.approx(keys.settings.key_publish_seconds, abs=20)
    assert registry.get_sample_value(name, {"state": "retiring"}) is None


async def test_a_key_that_was_written_beside_auth_is_never_used(keys: Keys) -> None:
    ring = await keys.ring()
    forger = new_key()
    values = f"'{forger.thumbprint()}', 'published', '\\x00', '{(await keys.all())[0].sealed_with}'"
    jwk = str(public_jwk(forger)).replace("'", '"')
    columns = "kid, state, private_sealed, sealed_with, public_jwk"
    execute(keys.url, f"INSERT INTO signing_keys ({columns}) VALUES ({values}, '{jwk}')")  # noqa: S608

    with pytest.raises(SealedWithAnotherKeyError, match="the row was changed"):
        await ring.refresh()
    with pytest.raises(SealedWithAnotherKeyError):
        await keys.ring()
    with pytest.raises(UnauthenticatedError):
        await verifier(ring, keys.settings).verify(signed_by(forger, claims(keys.settings)))
    assert forger.thumbprint() not in {key["kid"] for key in ring.jwks()["keys"]}


async def test_what_a_row_calls_its_public_half_is_never_published(keys: Keys) -> None:
    before = (await keys.ring()).jwks()
    jwk = str(public_jwk(new_key())).replace("'", '"')

    execute(keys.url, f"UPDATE signing_keys SET public_jwk = '{jwk}'")  # noqa: S608

    assert (await keys.ring()).jwks() == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE signing_keys SET private_sealed = set_byte(private_sealed, 100, get_byte(private_sealed, 100) # 1)",
        "UPDATE signing_keys SET kid = 'other' WHERE state = 'published'",
        "UPDATE signing_keys SET private_sealed = (SELECT private_sealed FROM signing_keys WHERE state = 'signing')",
    ],
)
async def test_a_changed_or_moved_row_is_never_used(keys: Keys, change: str) -> None:
    ring = await keys.ring()
    await keys.do(lambda service: service.rotate(publish_now=True))
    before = ring.jwks()

    execute(keys.url, change)

    for looking in (ring.refresh, keys.ring):
        with pytest.raises(SealedWithAnotherKeyError):
            await looking()
    assert ring.jwks() == before


async def test_with_another_key_encryption_key_nothing_starts_and_the_sentence_says_what_to_do(
    keys: Keys, make_settings: MakeSettings
) -> None:
    await keys.rotate()
    other = make_settings(key_encryption_key=secrets.token_hex(32))

    with pytest.raises(SealedWithAnotherKeyError, match="set it as PREVIOUS_KEY_ENCRYPTION_KEY and run"):
        async with open_key_ring(other, keys.sessions):
            pytest.fail("it started")


async def test_after_a_rewrap_the_new_key_encryption_key_alone_opens_everything(
    keys: Keys, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.auth.keys.service.BATCH", 2)
    ring = await keys.ring()
    sealed = ring._sealer
    users = [uuid.uuid4() for _ in range(5)]
    for user in users:
        row = f"('{user}', '{user}@slipway.test', 'Ada', 'none')"
        secret = sealed.seal(user.bytes, f"totp {user}").hex()
        factor = f"('{user}', '\\x{secret}', '{sealed.current}')"
        execute(
            keys.url,
            f"INSERT INTO users (id, email, name, password_hash) VALUES {row}",  # noqa: S608
            f"INSERT INTO totp_factors (user_id, secret_sealed, sealed_with) VALUES {factor}",  # noqa: S608
        )
    new = secrets.token_hex(32)
    between = make_settings(key_encryption_key=new, previous_key_encryption_key=keys.settings.key_encryption_key)
    after = make_settings(key_encryption_key=new)
    rewrapping = Keys(keys.url, keys.sessions, between)

    first = await rewrapping.do(lambda service: service.rewrap())
    second = await rewrapping.do(lambda service: service.rewrap())

    assert first == {"signing_keys": 1, "authenticators": 5}
    assert second == {"signing_keys": 0, "authenticators": 0}
    alone = await Keys(keys.url, keys.sessions, after).ring()
    assert alone.jwks() == ring.jwks()
    opener = alone._sealer
    for row in execute(keys.url, "SELECT * FROM totp_factors")[0]:
        assert opener.open(row["secret_sealed"], f"totp {row['user_id']}", row["sealed_with"]) == row["user_id"].bytes
    [told] = execute(keys.url, "SELECT details FROM audit_entries WHERE event = 'keys_rewrapped'")
    assert len(told) == 4  # the keys, and three batches of 2, 2 and 1


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Server]:
    if "TEST_DATABASE_URL" in os.environ:
        pytest.skip("stops a server of its own")
    with postgres_server() as server:
        yield server


@pytest.fixture
async def away(own_postgres: Server, make_settings: MakeSettings) -> AsyncGenerator[AuthSettings]:
    """Settings over a migrated database whose server a test may stop."""
    with new_database(own_postgres.url, "auth") as url:
        assert await migrate(MigrationSettings(database_url=url), "services.auth.migrations") == 0
        yield make_settings(database_url=url)


async def test_while_the_database_is_away_the_last_good_keys_are_published_and_sign_for_a_minute(
    own_postgres: Server, away: AuthSettings
) -> None:
    clock = Clock()
    async with open_postgres(away, CollectorRegistry()) as engine:
        ring = KeyRing(away, session_maker(engine), clock=clock)
        await ring.refresh()
        before = ring.jwks()
        with own_postgres.stopped():
            with pytest.raises(UnavailableError):
                await ring.refresh()
            clock.now += 59
            token = ring.sign(claims(away), "at+jwt")
            clock.now += 2
            with pytest.raises(UnavailableError):
                ring.sign(claims(away), "at+jwt")
            assert ring.jwks() == before
            await verifier(ring, away).verify(token)

        await ring.refresh()
        ring.sign(claims(away), "at+jwt")


async def test_a_process_that_starts_before_the_database_gets_its_keys_when_that_is_there(
    own_postgres: Server, away: AuthSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_module, "REFRESH_SECONDS", 0.05)
    async with open_postgres(away, CollectorRegistry()) as engine:
        sessions: SessionMaker = session_maker(engine)
        own_postgres.stop()
        try:
            async with open_key_ring(away, sessions) as ring:
                with pytest.raises(KeysAwayError):
                    await ring.ready()
                with pytest.raises(KeysAwayError):
                    await ring.get("any")
                with pytest.raises(UnavailableError):
                    ring.jwks()
                own_postgres.start()
                await until(lambda: ring._copy.signing, "the first key")
                await ring.ready()
                assert isinstance(await ring.get(ring.jwks()["keys"][0]["kid"]), RSAKey)
        finally:
            if own_postgres.process is None:
                own_postgres.start()

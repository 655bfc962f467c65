"""When the keys of auth are fetched, how long they are believed, and what is done while auth is away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from services.common import jwks
from services.common.exceptions import UnauthenticatedError, UnavailableError
from services.common.jwks import RemoteKeys, open_keys, parse_keys
from services.common.tokens import TokenVerifier
from tests.support.clock import Clock
from tests.support.servers import free_port
from tests.support.tokens import Issuer, KeyServer, key_server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def auth() -> Iterator[KeyServer]:
    with key_server(Issuer()) as server:
        yield server


@asynccontextmanager
async def remote(url: str, clock: Clock) -> AsyncIterator[RemoteKeys]:
    """Keys without the background task, on a clock of the test's own."""
    async with httpx2.AsyncClient(timeout=20) as client:
        yield RemoteKeys(url, client=client, clock=clock)


async def test_a_key_is_fetched_once_and_kept(auth: KeyServer, clock: Clock) -> None:
    async with remote(auth.url, clock) as keys:
        for _ in range(5):
            assert await keys.get(auth.issuer.key.kid or "")

    assert auth.fetches == 1


async def test_a_new_key_is_found_without_a_restart(auth: KeyServer, clock: Clock) -> None:
    async with remote(auth.url, clock) as keys:
        old = auth.issuer.key.kid or ""
        await keys.get(old)
        auth.issuer.rotate()
        clock.now += 10

        assert await keys.get(auth.issuer.key.kid or "")
        assert await keys.get(old)

    assert auth.fetches == 2


async def test_all_who_meet_a_new_key_at_once_get_it_from_one_fetch(auth: KeyServer, clock: Clock) -> None:
    async with remote(auth.url, clock) as keys:
        await keys.get(auth.issuer.key.kid or "")
        auth.issuer.rotate()
        clock.now += 10

        assert all(await asyncio.gather(*(keys.get(auth.issuer.key.kid or "") for _ in range(20))))

    assert auth.fetches == 2


async def test_a_withdrawn_key_is_forgotten(auth: KeyServer, clock: Clock) -> None:
    async with remote(auth.url, clock) as keys:
        old = auth.issuer.key.kid or ""
        await keys.get(old)
        auth.issuer.rotate(keep_old=False)
        clock.now += 10
        await keys.get(auth.issuer.key.kid or "")

        assert await keys.get(old) is None


async def test_made_up_key_ids_cause_one_fetch_in_ten_seconds(auth: KeyServer, clock: Clock) -> None:
    async with remote(auth.url, clock) as keys:
        await keys.get(auth.issuer.key.kid or "")
        clock.now += 10

        assert await asyncio.gather(*(keys.get(f"made-up-{n}") for n in range(100))) == [None] * 100
        clock.now += 9.9
        assert await keys.get("made-up") is None
        assert auth.fetches == 2

        clock.now += 0.1
        assert await keys.get("made-up") is None
        assert auth.fetches == 3


async def test_a_key_that_appears_while_auth_is_away_is_not_judged_and_found_within_a_second_of_its_return(
    auth: KeyServer, clock: Clock
) -> None:
    async with remote(auth.url, clock) as keys:
        known = auth.issuer.key.kid or ""
        await keys.get(known)
        auth.issuer.rotate()
        auth.status = 503
        clock.now += 10
        for _ in range(3):
            with pytest.raises(jwks.KeysAwayError):
                await keys.get(auth.issuer.key.kid or "")
        assert await keys.get(known)
        assert auth.fetches == 2

        auth.status = 200
        clock.now += 1
        assert await keys.get(auth.issuer.key.kid or "")


async def test_strangers_do_not_delay_callers_with_known_keys(auth: KeyServer, clock: Clock) -> None:
    async with remote(auth.url, clock) as keys:
        known = auth.issuer.key.kid or ""
        await keys.get(known)
        clock.now += 10
        async with keys._lock:  # as while a slow fetch is under way
            assert await keys.get(known)


async def test_keys_are_believed_for_an_hour_while_auth_is_away(auth: KeyServer, clock: Clock) -> None:
    async with remote(auth.url, clock) as keys:
        kid = auth.issuer.key.kid or ""
        await keys.get(kid)
        auth.status = 503

        clock.now += 3599
        assert await keys.get(kid)
        clock.now += 1
        with pytest.raises(jwks.KeysAwayError):
            await keys.get(kid)

        auth.status = 200
        clock.now += 10
        assert await keys.get(kid)


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"[]",
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": [7, null, {}]}',
        b"\xff",
        b"x" * 300_000,
        b"[" * 100_000,
        b'{"keys": [{"kty": "RSA", "kid": "a"}]}',
        b'{"keys": [{"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"}]}',
        b'{"keys": [{"kty": "RSA", "kid": "a", "n": "' + b"!" * 400 + b'", "e": "AQAB"}]}',
        b'{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}',
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_a_broken_key_set_does_not_replace_a_good_one(auth: KeyServer, clock: Clock, body: bytes) -> None:
    async with remote(auth.url, clock) as keys:
        kid = auth.issuer.key.kid or ""
        await keys.get(kid)
        auth.body = body
        clock.now += 10

        with pytest.raises(jwks.KeysAwayError):
            await keys.get("made-up")
        assert await keys.get(kid)
    assert auth.fetches == 2


def test_only_signing_keys_are_taken() -> None:
    public = Issuer().jwks()["keys"][0]
    entries = [public, public | {"kid": "enc", "use": "enc"}, {k: v for k, v in public.items() if k != "kid"}]

    assert list(parse_keys({"keys": entries})) == [public["kid"]]


async def test_a_redirect_is_not_followed(auth: KeyServer, clock: Clock) -> None:
    auth.status = 302
    async with remote(auth.url, clock) as keys:
        with pytest.raises(jwks.KeysAwayError):
            await keys.get("any")


async def test_without_keys_the_answer_is_503_and_a_promise(issuer: Issuer) -> None:
    async with open_keys(f"http://127.0.0.1:{free_port()}/jwks.json") as keys:
        verifier = TokenVerifier(keys, issuer=issuer.issuer, audience=issuer.audience)

        with pytest.raises(UnavailableError) as caught:
            await verifier.verify(issuer.token())
        assert caught.value.headers["Retry-After"] == "5"
        with pytest.raises(jwks.KeysAwayError):
            await keys.ready()
        with pytest.raises(UnauthenticatedError):
            await verifier.verify("garbage")  # needs no key to be refused


async def test_a_silent_auth_is_given_up_on(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT_SECONDS", 0.1)
    hang = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hang.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with remote(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", clock) as keys:
        with pytest.raises(jwks.KeysAwayError):
            await keys.get("any")
    hang.set()
    server.close()


async def test_keys_are_refreshed_before_anybody_asks(auth: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0.02)
    async with open_keys(auth.url) as keys:
        async with asyncio.timeout(30):
            while auth.fetches < 3:  # noqa: ASYNC110 - another thread counts
                await asyncio.sleep(0.01)
        await keys.ready()


async def test_keys_come_by_themselves_when_auth_starts_late(auth: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.02)
    auth.status = 500
    registry = CollectorRegistry()
    async with open_keys(auth.url, registry) as keys, asyncio.timeout(30):
        while auth.fetches < 3:  # noqa: ASYNC110 - another thread counts
            await asyncio.sleep(0.01)
        with pytest.raises(jwks.KeysAwayError):
            await keys.ready()
        auth.status = 200
        while not keys._usable():  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.01)
    assert registry.get_sample_value("token_key_fetches_total", {"result": "fetched"}) == 1
    assert (registry.get_sample_value("token_key_fetches_total", {"result": "failed"}) or 0) >= 2

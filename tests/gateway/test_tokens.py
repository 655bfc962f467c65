"""Tokens are checked before anything goes to a service, and the verdict is kept no longer than it holds."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from services.common.exceptions import UnauthenticatedError
from services.common.jwks import RemoteKeys
from services.common.revocations import Revocation, Revocations
from services.common.settings import TokenSettings
from services.common.tokens import Principal, TokenVerifier, open_token_verifier
from services.gateway import tokens
from services.gateway.tokens import TokenChecker
from tests.gateway.conftest import Gateway, MakeGateway, Pod
from tests.support.tokens import Issuer, KeyServer, key_server


@pytest.fixture
async def gateway(make_gateway: MakeGateway, recorder: Pod) -> AsyncIterator[Gateway]:
    async with make_gateway({"/v1/a": {"upstream": recorder.url, "public": False}, "/login": recorder.url}) as made:
        yield made


def presented(token: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", b"Bearer " + token.encode())]


async def test_with_a_good_token_the_service_gets_the_request_and_the_token(
    gateway: Gateway, recorder: Pod, issuer: Issuer
) -> None:
    headers = issuer.headers()
    answer = await gateway.client.get("/v1/a", headers=headers)

    assert answer.text == "hello"
    assert f"authorization: {headers['Authorization']}".encode() in recorder.heads[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"header": {"typ": "JWT"}},
        {"header": {"kid": "another"}},
    ],
    ids=repr,
)
async def test_without_a_good_token_nothing_goes_to_the_service(
    gateway: Gateway, recorder: Pod, issuer: Issuer, changes: dict[str, Any]
) -> None:
    for _ in range(2):
        answer = await gateway.client.get("/v1/a", headers=issuer.headers(**changes))

        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert recorder.opened == 0


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Authorization: Basic YTpi\r\n",
        b"Authorization: Bearer\r\n",
        b"Authorization: Bearer  \r\n",
        b"Authorization: %b\r\nAuthorization: %b\r\n",
        b"Authorization: %b, %b\r\n",
        b"Proxy-Authorization: %b\r\n",
        b"X-Authorization: %b\r\n",
        b"Cookie: access_token=%b\r\n",
    ],
)
async def test_there_is_one_way_to_present_a_token(
    gateway: Gateway, recorder: Pod, issuer: Issuer, lines: bytes
) -> None:
    token = issuer.headers()["Authorization"].encode()
    head = b"GET /v1/a?access_token=%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" % token[7:]
    answer = await gateway.exchange(head + lines.replace(b"%b", token) + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert recorder.opened == 0


async def test_public_paths_need_none_and_pass_what_is_presented(gateway: Gateway, recorder: Pod) -> None:
    answer = await gateway.client.get("/login", headers={"Authorization": "Basic YTpi"})

    assert answer.text == "hello"
    assert b"authorization: Basic YTpi\r\n" in recorder.heads[0]


async def test_websockets_need_one_too(gateway: Gateway, recorder: Pod) -> None:
    answer = await gateway.exchange(
        b"GET /v1/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert recorder.opened == 0


async def test_without_keys_it_is_503_and_nothing_is_remembered(
    make_gateway: MakeGateway, recorder: Pod, issuer: Issuer
) -> None:
    with key_server(issuer) as keys:
        keys.status = 500
        route = {"upstream": recorder.url, "public": False}
        async with make_gateway({"/v1/a": route}, jwks_url=keys.url, wait_ready=False) as gateway:
            answer = await gateway.client.get("/v1/a", headers=issuer.headers())

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert recorder.opened == 0


class Counting:
    """A verifier that counts how often it is asked."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self.verifier = verifier
        self.keys = verifier.keys
        self.asked = 0

    async def verify(self, token: str) -> Principal:
        self.asked += 1
        return await self.verifier.verify(token)

    def is_revoked(self, principal: Principal) -> bool:
        return self.verifier.is_revoked(principal)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def verifier(issuer: Issuer, jwks: KeyServer) -> AsyncIterator[Counting]:
    settings = TokenSettings(issuer=issuer.issuer, audience=issuer.audience, jwks_url=jwks.url)
    async with open_token_verifier(settings) as verifier:
        yield Counting(verifier)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def checker(verifier: Counting, clock: Clock) -> TokenChecker:
    return make_checker(verifier, clock)


def make_checker(verifier: Any, clock: Clock, size: int = 100) -> TokenChecker:
    counter = Counter("checks", "Checks", ["result"], registry=CollectorRegistry())
    return TokenChecker(verifier, size=size, counter=counter, clock=clock)


async def refused(checker: TokenChecker, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as error:
        await checker.check(presented(token))
    return str(error.value.detail)


async def test_a_token_is_verified_once(checker: TokenChecker, verifier: Counting, issuer: Issuer) -> None:
    first, second = issuer.token(), issuer.token(sub="bob")
    for _ in range(3):
        assert (await checker.check(presented(first))).subject == "alice"
        assert (await checker.check(presented(second))).subject == "bob"

    assert verifier.asked == 2


async def test_a_token_is_asked_for_again_when_it_has_expired(
    checker: TokenChecker, verifier: Counting, clock: Clock, issuer: Issuer
) -> None:
    token = issuer.token(exp=int(clock.now) + 5)
    await checker.check(presented(token))
    clock.now += 4
    await checker.check(presented(token))
    assert verifier.asked == 1
    clock.now += 1
    await checker.check(presented(token))  # which grants 30 s more for clocks that differ
    assert verifier.asked == 2


async def test_a_revoked_token_is_refused_though_it_is_remembered(
    checker: TokenChecker, verifier: Counting, issuer: Issuer
) -> None:
    alices, bobs = issuer.token(sid="a"), issuer.token(sid="b")
    await checker.check(presented(alices))
    await checker.check(presented(bobs))

    verifier.verifier.revocations = Revocations(CollectorRegistry())
    verifier.verifier.revocations.apply(Revocation("session", "a", 0, int(time.time()) + 60))

    await checker.check(presented(bobs))
    assert verifier.asked == 2
    assert "revoked" in await refused(checker, alices)


async def test_a_withdrawn_key_takes_its_tokens_with_it(clock: Clock) -> None:
    own = Issuer()
    with key_server(own) as keys:
        settings = TokenSettings(issuer=own.issuer, audience=own.audience, jwks_url=keys.url)
        async with open_token_verifier(settings) as verifier:
            checker = make_checker(verifier, clock)
            token = own.token()
            await checker.check(presented(token))
            own.rotate(keep_old=False)
            assert isinstance(verifier.keys, RemoteKeys)
            await verifier.keys._fetch()

            assert "does not publish" in await refused(checker, token)


async def test_refusals_are_remembered_for_a_short_time(
    checker: TokenChecker, verifier: Counting, clock: Clock, issuer: Issuer
) -> None:
    token = issuer.token(aud="another")
    said = {await refused(checker, token) for _ in range(3)}
    assert (len(said), verifier.asked) == (1, 1)
    clock.now += tokens.REFUSED_SECONDS
    await refused(checker, token)
    assert verifier.asked == 2


async def test_no_more_tokens_are_remembered_than_permitted_and_the_oldest_goes_first(
    verifier: Counting, clock: Clock, issuer: Issuer
) -> None:
    checker = make_checker(verifier, clock, size=2)
    first, second = issuer.token(), issuer.token(sub="bob")
    await checker.check(presented(first))
    await checker.check(presented(second))
    await checker.check(presented(first))
    await refused(checker, "nonsense")  # the second makes room for it
    await checker.check(presented(first))
    assert verifier.asked == 3
    await checker.check(presented(second))
    assert verifier.asked == 4
    for number in range(50):
        await refused(checker, f"nonsense-{number}")
    assert len(checker._known) == 2


async def test_no_token_is_kept_in_memory_as_it_is(checker: TokenChecker, issuer: Issuer) -> None:
    token = issuer.token()
    await checker.check(presented(token))

    assert token not in repr(vars(checker))
    assert token.rpartition(".")[2] not in repr(checker._known)
